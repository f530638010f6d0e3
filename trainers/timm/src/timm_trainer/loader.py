"""Prepares batches, in threads a few ahead of the loop where that helps. Decoding and scaling release Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from vision_trainer.cpu_limits import available_cpus

from .augmentation import Augmentation, mix_pairs, training_picture
from .images import ImageSource, evaluation_picture
from .sampling import StepPlan, mixed_size, sample_rng, step_rng

Item = TypeVar("Item")
Made = TypeVar("Made")

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


def loader_threads(device: torch.device, processes: int = 1, asked: int | None = None) -> int:
    """How many threads prepare images in each of a job's processes, of `asked` in all; not asked: from the CPUs.

    None where torch computes on two CPUs or fewer: it wants them all, and each operation waits for the slower one.
    """
    if asked is None:
        cpus = available_cpus()
        asked = 0 if device.type == "cpu" and cpus <= 2 else max(1, min(8, cpus // 2))
    return -(-asked // processes)


class Loader:
    """Makes batches in `threads` threads, a few ahead of who asks; with none in the asking one, as DataLoader does."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader") if threads else None
        self._ahead = threads + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def load(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """What `make` makes of the items, in order."""
        if self._pool is None:
            yield from map(make, items)
            return
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(make, item))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
