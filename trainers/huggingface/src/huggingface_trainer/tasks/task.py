"""What every task answers: how examples look to the model, what the loss is, what its outputs mean and are worth."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from vision_trainer.contracts import DatasetSample, Keypoints, Prediction
from vision_trainer.failures import FailureCode, TrainerFailure

from huggingface_trainer.augmentation import Augmentation, random_part
from huggingface_trainer.captions import CaptionTokens
from huggingface_trainer.examples import Example, ImageSource
from huggingface_trainer.geometry import View, letterboxed, squashed
from huggingface_trainer.models import ModelInput

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class TaskData:
    """What a task knows about the dataset and the model; all of it lies in the checkpoint."""

    classes: list[str]
    shape: ModelInput
    keypoints: Keypoints | None = None
    tokens: CaptionTokens | None = None
    longest_caption: int = 32
    label_smoothing: float = 0.0
    # Detection: the raw outputs hold the candidates that the decoder was given (Family.two_stage).
    two_stage: bool = False
    # One weight a class, mean 1; None: all equal.
    class_weights: tuple[float, ...] | None = None

    @property
    def skeleton(self) -> list[tuple[float, float]]:
        """Pairs of key points that a line joins."""
        return [pair.root for pair in self.keypoints.skeleton] if self.keypoints else []


@dataclass(slots=True)
class Outcome:
    """What the model said about one example, in the image's own pixels. `score`: 0 is worst, by the task's measure."""

    example: Example
    loss: float | None = None
    score: float | None = None
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Measured:
    """What a model is worth on a split, by the contract's names, and the parts of the EvaluationReport."""

    metrics: dict[str, float | None]
    per_class: list[dict[str, Any]] = field(default_factory=list)
    confusion: list[list[int]] | None = None
    pr_curves: list[dict[str, Any]] | None = None


class Task(ABC):
    """One task of computer vision for one dataset and one model."""

    type: ClassVar[str]
    primary_metric: ClassVar[str]
    # Names of the model's outputs in the exported file, in order.
    outputs: tuple[str, ...]

    def __init__(self, data: TaskData) -> None:
        self.data = data

    def examples(self, samples: Sequence[DatasetSample]) -> list[Example]:
        """The examples in these samples; here one a sample."""
        return [Example(sample.id, sample.width, sample.height, sample) for sample in samples]

    def evaluation_view(self, example: Example) -> View:
        """How the model sees an example when it is judged."""
        place = letterboxed if self.data.shape.letterbox else squashed
        return place(example.image_width, example.image_height, self.data.shape.height, self.data.shape.width)

    def training_view(self, example: Example, augmentation: Augmentation, rng: random.Random) -> View:
        """How the model sees it this time."""
        return random_part(self.evaluation_view(example), augmentation, rng)

    @abstractmethod
    def target(self, example: Example, view: View, source: ImageSource, rng: random.Random | None) -> dict[str, Any]:
        """What the model should say, as numbers and numpy arrays. `rng` is None when nothing may be left to chance."""

    @abstractmethod
    def collate(self, targets: list[dict[str, Any]]) -> dict[str, Any]:
        """The targets of a batch: tensors or lists, one entry an example."""

    @abstractmethod
    def loss(self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]) -> Tensor:
        """The mean training loss of a batch that lies on the model's device."""

    @abstractmethod
    def measure(
        self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(mean loss, raw outputs) of a batch, without gradients, for a model in evaluation mode."""

    @abstractmethod
    def infer(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The raw outputs by their names in `outputs`: what an exported model computes as well."""

    @abstractmethod
    def outcomes(self, raw: Arrays, examples: list[Example], views: list[View]) -> list[Outcome]:
        """What the raw outputs mean, in the images' own pixels."""

    def judge(self, outcomes: list[Outcome], targets: dict[str, Any]) -> None:
        """Compares with targets of the batch that are too large to be kept. Most tasks keep theirs in the samples."""
        del outcomes, targets

    @abstractmethod
    def summarise(self, outcomes: list[Outcome]) -> Measured:
        """The metrics over a split whose truth is known; sets each outcome's `score`."""

    def gap(self, model: nn.Module, inputs: dict[str, Tensor], ours: Arrays, theirs: Arrays) -> float:
        """The largest difference between the raw outputs of the model (`ours`) and of its export for one batch."""
        del model, inputs
        return largest_gap(ours, theirs)

    @abstractmethod
    def prediction(self, outcomes: list[Outcome], threshold: float) -> Prediction:
        """All outcomes of one image as the contract says it; less sure objects than `threshold` are left out."""

    @abstractmethod
    def truth(self, outcome: Outcome) -> str:
        """In words, for people."""

    def mask(self, outcome: Outcome) -> np.ndarray[Any, Any] | None:
        """Height x width class indices of the image, for semantic segmentation."""
        del outcome
        return None

    def pixel_mask(self, views: list[View]) -> Tensor | None:
        """1 where the input shows the image, 0 where it is padded; None for models that are never padded."""
        if not self.data.shape.letterbox:
            return None
        mask = torch.zeros((len(views), self.data.shape.height, self.data.shape.width), dtype=torch.int64)
        for row, view in zip(mask, views, strict=True):
            row[: view.height, : view.width] = 1
        return mask


def mean_loss(outcomes: list[Outcome]) -> float | None:
    """The mean over all examples whose loss is known."""
    losses = [outcome.loss for outcome in outcomes if outcome.loss is not None]
    return sum(losses) / len(losses) if losses else None


def sample_of(example: Example) -> DatasetSample:
    """The dataset's sample behind an example. Raises DATASET_INVALID for an image that belongs to no dataset."""
    if example.sample is None:
        raise TrainerFailure(FailureCode.DATASET_INVALID, f"{example.name} has no annotation to be measured against.")
    return example.sample


def by_image(outcomes: list[Outcome]) -> list[list[Outcome]]:
    """The outcomes of each image together, in the order in which the images come."""
    images: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        images.setdefault(outcome.example.name, []).append(outcome)
    return list(images.values())


def largest_gap(ours: Arrays, theirs: Arrays) -> float:
    """The largest difference of any value. Infinity where shapes differ or a value is no number."""
    largest = 0.0
    for name, value in ours.items():
        if value.shape != theirs[name].shape:
            return float("inf")
        gap = float(np.abs(value - theirs[name]).max(initial=0.0))
        largest = max(largest, gap if np.isfinite(gap) else float("inf"))
    return largest
