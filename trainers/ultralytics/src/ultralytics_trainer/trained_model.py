# SPDX-License-Identifier: AGPL-3.0-only
"""The trained model behind MODEL_URI, and the dataset it is used on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from vision_trainer.contracts import Keypoints
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.model_source import open_model
from vision_trainer.run import TrainerJob

from .devices import framework_device
from .models import YoloModel, build_module, find_model
from .training_state import best_weights


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """`about` is what the checkpoint says of itself, `weights` what was loaded, `uri` where from."""

    model: YoloModel
    network: Any
    classes: list[str]
    size: int
    device: str
    about: dict[str, Any]
    weights: dict[str, Tensor]
    uri: str

    @property
    def skeleton(self) -> list[list[float]]:
        """Pairs of key points to join in drawings."""
        points = self.about.get("keypoints")
        return [list(pair.root) for pair in Keypoints.model_validate(points).skeleton] if points else []


def open_trained(job: TrainerJob, *, on_cpu: bool = False) -> TrainedModel:
    """The network of the checkpoint with the best weights in it. Raises TrainerFailure (see open_model)."""
    weights: dict[str, Tensor] = {}

    def check(folder: Path) -> None:
        weights.clear()
        weights.update(best_weights(folder))

    device = "cpu" if on_cpu else framework_device(job.env.device)
    torch.set_num_threads(available_cpus())
    found = open_model(job, check=check)
    about: dict[str, Any] = found.manifest.model.model_dump() if found.manifest.model else {}
    classes = found.manifest.classes
    try:
        size = int(about["image_size"])
        points = Keypoints.model_validate(about["keypoints"]) if about.get("keypoints") else None
    except (KeyError, TypeError, ValueError) as error:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"MODEL_URI: the manifest of {found.uri} does not say what the model's input is."
        ) from error
    model = find_model(job.env.model_name, job.env.task_type)
    network = build_module(model, len(classes), len(points.names) if points else None)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"MODEL_URI: the weights in {found.uri} do not fit {job.env.model_name} with its {len(classes)} classes.",
        ) from error
    network.names = dict(enumerate(classes))
    return TrainedModel(model, network.eval(), classes, size, device, about, weights, found.uri)


def open_split(job: TrainerJob, trained: TrainedModel, split: str | None) -> tuple[DatasetReader, str]:
    """The dataset and the split to use: the one asked for, else val, else test.

    Raises DATASET_INVALID for a dataset of another task or without such a split, BAD_CONFIG for other classes than the
    model's.
    """
    job.events.phase("downloading", 0.0)
    wanted = (split,) if split else ("val", "test")
    reader = open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, splits=wanted, task_type=job.env.task_type)
    job.events.phase("downloading", 100.0)
    if reader.classes != trained.classes:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"MODEL_URI: found a model for {len(trained.classes)} classes that are not the {len(reader.classes)} of "
            "the dataset, expected the same classes in the same order.",
        )
    for name in wanted:
        if reader.split(name):
            return reader, name
    raise TrainerFailure(
        FailureCode.DATASET_INVALID,
        f"The dataset has no images in {' or '.join(wanted)}; its splits are {', '.join(reader.manifest.counts)}.",
    )
