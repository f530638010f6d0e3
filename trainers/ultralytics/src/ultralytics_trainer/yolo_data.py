# SPDX-License-Identifier: AGPL-3.0-only
"""The canonical dataset as the framework's: folders by the kit's converters, a description of our own.

`data.yaml` of a user never gets here: it may name a script to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision_trainer.contracts import DatasetSample
from vision_trainer.converters import write_image_folder, write_yolo
from vision_trainer.dataset import DatasetReader, training_splits
from vision_trainer.failures import FailureCode, TrainerFailure


@dataclass(frozen=True, slots=True)
class YoloData:
    """`description` is what the framework calls `data`; `train` and `val` are the samples behind its two folders."""

    folder: Path
    description: dict[str, Any]
    train: list[DatasetSample]
    val: list[DatasetSample]

    def require_all(self, dataset: Any, part: str) -> None:
        """Raises DATASET_INVALID when the framework left images out: it passes over what it cannot read."""
        wanted = len(self.train if part == "training" else self.val)
        if len(dataset) != wanted:
            raise TrainerFailure(
                FailureCode.DATASET_INVALID,
                f"{wanted - len(dataset)} of {wanted} {part} images cannot be read, or have annotations outside of "
                "the image or of the class list.",
            )

    def samples_by_file(self) -> dict[str, DatasetSample]:
        """The validation samples by the stem of the file each was written to."""
        return {sample.id: sample for sample in self.val}


def write_data(reader: DatasetReader, task_type: str, folder: Path) -> YoloData:
    """Writes the dataset of a training under `folder`. Raises DATASET_INVALID where one cannot train with it."""
    train, val = training_splits(reader)
    return _write(reader, task_type, folder, train, val)


def write_split(reader: DatasetReader, task_type: str, folder: Path, split: str) -> YoloData:
    """Writes one split, to be measured on, under `folder`."""
    return _write(reader, task_type, folder, [], reader.split(split))


def _write(
    reader: DatasetReader, task_type: str, folder: Path, train: list[DatasetSample], val: list[DatasetSample]
) -> YoloData:
    measured = val[0].split
    description: dict[str, Any] = {"nc": len(reader.classes), "channels": 3, "path": folder}
    if task_type == "image_classification":
        root = write_image_folder(reader, folder)
        # The folders are the indices, so that a class without a single image in a split moves no other one.
        names = {index: f"{index:04d}" for index in range(len(reader.classes))}
        places = {"train": root / "train", "val": root / measured}
    else:
        root = write_yolo(reader, folder).parent
        names = dict(enumerate(reader.classes))
        places = {"train": root / "images" / "train", "val": root / "images" / measured}
    description.update({"names": names, "train": str(places["train"]), "val": str(places["val"])})
    points = reader.manifest.keypoints
    if task_type == "pose_estimation" and points is not None:
        description["kpt_shape"] = [len(points.names), 3]
        description["flip_idx"] = [int(index) for index in points.flip_indices]
    return YoloData(root, description, train, val)
