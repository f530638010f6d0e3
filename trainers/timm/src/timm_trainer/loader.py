"""Prepares batches in threads, a few ahead of the loop. Decoding and scaling release Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from .images import Augmentation, ImageSource, Picture, evaluation_picture, training_picture
from .sampling import sample_rng

# (images: batch x size x size x 3 uint8, labels: batch int64)
Batch = tuple[Tensor, Tensor]


def prefetch(
    make: Callable[[list[int]], Batch], index_lists: Iterable[list[int]], pool: ThreadPoolExecutor, ahead: int
) -> Iterator[Batch]:
    """The batches of `index_lists` in order, at most `ahead` of them prepared in advance."""
    waiting: deque[Future[Batch]] = deque()
    try:
        for indices in index_lists:
            waiting.append(pool.submit(make, indices))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


class TrainingBatches:
    """Makes the augmented batches of one epoch. Each image's augmentation follows from (seed, epoch, index) alone."""

    def __init__(self, source: ImageSource, size: int, augmentation: Augmentation, seed: int, *, pin: bool) -> None:
        self._source = source
        self._size = size
        self._augmentation = augmentation
        self._seed = seed
        self._pin = pin
        self.epoch = 0

    def make(self, epoch: int, indices: list[int]) -> Batch:
        """The batch of these images as augmented in this epoch."""
        pictures = [
            training_picture(
                self._source.image(index), self._size, self._augmentation, sample_rng(self._seed, epoch, index)
            )
            for index in indices
        ]
        return _stack(pictures, [self._source.samples[index].label or 0 for index in indices], pin=self._pin)


class EvaluationBatches:
    """The batches of an evaluation split; kept, because they never change, where `keep` says they fit in memory."""

    def __init__(self, source: ImageSource, size: int, batch_size: int, *, pin: bool, keep: bool) -> None:
        self._source = source
        self._size = size
        self._pin = pin
        self._lists = [
            list(range(first, min(first + batch_size, len(source)))) for first in range(0, len(source), batch_size)
        ]
        self._keep = keep
        self._kept: list[Batch] = []

    def __call__(self, pool: ThreadPoolExecutor, ahead: int) -> Iterator[Batch]:
        """All batches, in order."""
        if self._kept:
            yield from self._kept
            return
        made = []
        for batch in prefetch(self._make, self._lists, pool, ahead):
            if self._keep:
                made.append(batch)
            yield batch
        # Only a complete pass is worth keeping.
        self._kept = made

    def _make(self, indices: list[int]) -> Batch:
        pictures = [evaluation_picture(self._source.image(index), self._size) for index in indices]
        return _stack(pictures, [self._source.samples[index].label or 0 for index in indices], pin=self._pin)


def _stack(pictures: list[Picture], labels: list[int], *, pin: bool) -> Batch:
    images = torch.from_numpy(np.stack(pictures))
    targets = torch.tensor(labels, dtype=torch.int64)
    return (images.pin_memory(), targets.pin_memory()) if pin else (images, targets)
