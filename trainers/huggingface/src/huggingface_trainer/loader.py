"""Prepares batches, in threads a few ahead of the loop where that helps. Decoding and scaling release Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import torch
from vision_trainer.cpu_limits import available_cpus

from .augmentation import Augmentation, recoloured
from .examples import Batch, Example, ImageSource, stack
from .sampling import example_rng
from .tasks.task import Task

# Examples per batch when nothing is learned. The same in training and in an evaluation job, so their figures are too.
EVALUATION_BATCH = 16


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

    def load(self, make: Callable[[list[int]], Batch], index_lists: Iterable[list[int]]) -> Iterator[Batch]:
        """The batches of `index_lists` in order."""
        if self._pool is None:
            yield from map(make, index_lists)
            return
        waiting: deque[Future[Batch]] = deque()
        try:
            for indices in index_lists:
                waiting.append(self._pool.submit(make, indices))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class TrainingBatches:
    """Makes the augmented batches of an epoch. Each example's augmentation follows from (seed, epoch, index) alone."""

    def __init__(
        self,
        task: Task,
        source: ImageSource,
        examples: list[Example],
        augmentation: Augmentation,
        seed: int,
        *,
        pin: bool,
    ) -> None:
        self._task = task
        self._source = source
        self.examples = examples
        self._augmentation = augmentation
        self._seed = seed
        self._pin = pin

    def make(self, epoch: int, indices: list[int]) -> Batch:
        """The batch of these examples as augmented in this epoch."""
        task, shape = self._task, self._task.data.shape
        pictures, targets, views = [], [], []
        for index in indices:
            example, rng = self.examples[index], example_rng(self._seed, epoch, index)
            view = task.training_view(example, self._augmentation, rng)
            picture = view.render(self._source.image(example), shape.height, shape.width)
            pictures.append(recoloured(picture, self._augmentation, rng))
            targets.append(task.target(example, view, self._source, rng))
            views.append(view)
        batch = stack(pictures, task.collate(targets), [self.examples[index] for index in indices], views)
        return batch.pinned() if self._pin else batch


class EvaluationBatches:
    """The batches of a split as the model is judged by them, in order; `targets` are made where the truth is known."""

    def __init__(
        self, task: Task, source: ImageSource, examples: list[Example], *, pin: bool = False, targets: bool = True
    ) -> None:
        self._task = task
        self._source = source
        self.examples = examples
        self._pin = pin
        self._targets = targets

    def __call__(self, loader: Loader, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """All batches; of several processes each takes every `world_size`-th."""
        count = len(self.examples)
        lists = [list(range(at, min(at + EVALUATION_BATCH, count))) for at in range(0, count, EVALUATION_BATCH)]
        return loader.load(self.make, lists[rank::world_size])

    def make(self, indices: list[int]) -> Batch:
        """The batch of these examples."""
        task, shape = self._task, self._task.data.shape
        examples = [self.examples[index] for index in indices]
        views = [task.evaluation_view(example) for example in examples]
        pictures = [
            view.render(self._source.image(example), shape.height, shape.width)
            for example, view in zip(examples, views, strict=True)
        ]
        targets = {}
        if self._targets:
            made = [task.target(e, view, self._source, None) for e, view in zip(examples, views, strict=True)]
            targets = task.collate(made)
        batch = stack(pictures, targets, examples, views)
        return batch.pinned() if self._pin else batch
