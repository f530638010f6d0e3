"""The trained model behind MODEL_URI, ready to look at images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.model_source import open_model
from vision_trainer.run import TrainerJob

from .evaluation import TOP, Verdict
from .images import evaluation_picture
from .inference import Normaliser, amp_dtype, precision
from .loader import EVALUATION_BATCH
from .model import ModelInput, build_model, choose_device
from .training_state import best_weights


@dataclass(frozen=True, slots=True)
class Classifier:
    """`about` is what the checkpoint says of itself, `weights` what was loaded, `uri` where from."""

    model: nn.Module
    model_name: str
    shape: ModelInput
    classes: list[str]
    device: torch.device
    normalise: Normaliser
    precision: Callable[[], AbstractContextManager[object]]
    weights: dict[str, Tensor]
    uri: str
    epoch: int

    @torch.inference_mode()
    def look_at(self, images: Iterable[tuple[str, Image.Image]]) -> Iterator[tuple[str, Image.Image, Verdict]]:
        """What the model says about each image, in order, a batch at a time. The loss of a verdict is 0."""
        for group in _groups(images, EVALUATION_BATCH):
            pictures = np.stack([evaluation_picture(image, self.shape.size) for _, image in group])
            with self.precision():
                logits = self.model(self.normalise(torch.from_numpy(pictures)))
            top = logits.float().softmax(dim=1).topk(min(TOP, len(self.classes)), dim=1)
            rows = zip(group, top.indices.tolist(), top.values.tolist(), strict=True)
            for number, ((name, image), labels, scores) in enumerate(rows):
                yield name, image, Verdict(number, 0.0, labels, scores)


def open_classifier(job: TrainerJob, *, on_cpu: bool = False) -> Classifier:
    """The model of the checkpoint with the best weights in it. Raises TrainerFailure (see open_model)."""
    weights: dict[str, Tensor] = {}

    def check(folder: Path) -> None:
        weights.clear()
        weights.update(best_weights(folder))

    found = open_model(job, check=check)
    about: dict[str, Any] = found.manifest.model.model_dump() if found.manifest.model else {}
    try:
        given = about["input"]
        shape = ModelInput(int(given["size"]), tuple(given["mean"]), tuple(given["std"]))
        model_name = str(about["model_name"])
    except (KeyError, TypeError, ValueError) as error:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"MODEL_URI: the manifest of {found.uri} does not say what the model's input is."
        ) from error
    device = torch.device("cpu") if on_cpu else choose_device(job.env.device)
    torch.set_num_threads(available_cpus())
    model = build_model(model_name, len(found.manifest.classes), shape.size)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"MODEL_URI: the weights in {found.uri} do not fit {model_name} with its {len(found.manifest.classes)} "
            "classes.",
        ) from error
    # As in training, so that the same sums are made in the same order.
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    half = amp_dtype(device) if about.get("amp", True) else None
    return Classifier(
        model,
        model_name,
        shape,
        found.manifest.classes,
        device,
        Normaliser(shape, device),
        partial(precision, device, half),
        weights,
        found.uri,
        found.manifest.epoch,
    )


def open_split(job: TrainerJob, classifier: Classifier, split: str | None) -> tuple[DatasetReader, str]:
    """The dataset and the split to use: the one asked for, else val, else test.

    Raises DATASET_INVALID for a dataset of another task or without such a split, BAD_CONFIG for other classes than the
    model's.
    """
    job.events.phase("downloading", 0.0)
    wanted = (split,) if split else ("val", "test")
    reader = open_dataset(
        job.storage, job.env.dataset_uri, job.cache_dir, splits=wanted, task_type="image_classification"
    )
    job.events.phase("downloading", 100.0)
    if reader.classes != classifier.classes:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"MODEL_URI: found a model for {len(classifier.classes)} classes that are not the {len(reader.classes)} of "
            "the dataset, expected the same classes in the same order.",
        )
    for name in wanted:
        if reader.split(name):
            return reader, name
    raise TrainerFailure(
        FailureCode.DATASET_INVALID,
        f"The dataset has no images in {' or '.join(wanted)}; its splits are {', '.join(reader.manifest.counts)}.",
    )


def _groups(images: Iterable[tuple[str, Image.Image]], size: int) -> Iterator[list[tuple[str, Image.Image]]]:
    group: list[tuple[str, Image.Image]] = []
    for item in images:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
