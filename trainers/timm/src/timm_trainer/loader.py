"""Makes the batches. Decoding and scaling release Python's lock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from vision_trainer.loader import Loader

from .augmentation import Augmentation, mix_pairs, training_picture
from .images import ImageSource, evaluation_picture
from .sampling import StepPlan, mixed_size, sample_rng, step_rng

# Fixed, whatever the training's batch: the same model on the same images gives the same figures to the last bit.
EVALUATION_BATCH = 64


class Batch(NamedTuple):
    """Images: batch x size x size x 3 uint8; labels: batch int64; `share` of each image is its own (mixup, CutMix).

    The rest of it is the partner's from the other end of the batch. `total` images are in the batches of all processes.
    """

    images: Tensor
    labels: Tensor
    total: int
    share: float = 1.0


class EvaluationBatch(NamedTuple):
    """The images of an evaluation in order; `indices` say which of the split they are."""

    indices: list[int]
    images: Tensor
    labels: Tensor


class TrainingBatches:
    """Makes the augmented batches of one epoch.

    An image's augmentation follows from (seed, epoch, index) alone, a batch's mixing from (seed, epoch, step, rank).
    """

    def __init__(
        self,
        source: ImageSource,
        size: int,
        augmentation: Augmentation,
        seed: int,
        *,
        rank: int = 0,
        mixed_sizes: bool = False,
        pin: bool = False,
    ) -> None:
        self._source = source
        self._size = size
        self._augmentation = augmentation
        self._seed = seed
        self._rank = rank
        self._mixed_sizes = mixed_sizes
        self._pin = pin

    def make(self, epoch: int, plan: StepPlan) -> Batch:
        """The batch of a step as augmented in this epoch."""
        size = mixed_size(self._seed, epoch, plan.step, self._size) if self._mixed_sizes else self._size
        pictures = np.stack(
            [
                training_picture(
                    self._source.image(index), size, self._augmentation, sample_rng(self._seed, epoch, index)
                )
                for index in plan.indices
            ]
        )
        rng = step_rng(self._seed, epoch, plan.step, self._rank)
        pictures, share = mix_pairs(pictures, self._augmentation, rng)
        labels = torch.tensor([self._source.samples[index].label or 0 for index in plan.indices], dtype=torch.int64)
        images = torch.from_numpy(pictures)
        if self._pin:
            images, labels = images.pin_memory(), labels.pin_memory()
        return Batch(images, labels, plan.total, share)


class EvaluationBatches:
    """The batches of an evaluation split; kept, because they never change, where `keep` says they fit in memory.

    With several processes, each takes every `world`-th batch; `rounds` is the number of batches of the busiest.
    """

    def __init__(
        self, source: ImageSource, size: int, *, rank: int = 0, world: int = 1, pin: bool = False, keep: bool = False
    ) -> None:
        self._source = source
        self._size = size
        self._pin = pin
        starts = range(0, len(source), EVALUATION_BATCH)
        self.rounds = -(-len(starts) // world)
        self._lists = [list(range(first, min(first + EVALUATION_BATCH, len(source)))) for first in starts[rank::world]]
        self._keep = keep
        self._kept: list[EvaluationBatch] = []

    def __call__(self, loader: Loader) -> Iterator[EvaluationBatch]:
        """All batches of this process, in order."""
        if self._kept:
            yield from self._kept
            return
        made = []
        for batch in loader.load(self._make, self._lists):
            if self._keep:
                made.append(batch)
            yield batch
        # Only a complete pass is worth keeping.
        self._kept = made

    def _make(self, indices: list[int]) -> EvaluationBatch:
        images = torch.from_numpy(
            np.stack([evaluation_picture(self._source.image(index), self._size) for index in indices])
        )
        # A sample without a label (a dataset to predict on) counts as class 0; nobody asks for its loss.
        labels = torch.tensor([self._source.samples[index].label or 0 for index in indices], dtype=torch.int64)
        if self._pin:
            images, labels = images.pin_memory(), labels.pin_memory()
        return EvaluationBatch(indices, images, labels)
