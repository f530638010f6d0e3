# SPDX-License-Identifier: AGPL-3.0-only
"""Training batches whose content depends on (seed, epoch, image) alone, so that a run can go on at any of them.

The framework's own loader draws augmentations from process-wide generators and keeps its place in an endless iterator;
neither can be put back in the middle of an epoch, and worker processes draw differently for another number of workers.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from .sampling import derive_seed, epoch_batches, seed_generators


class SeededDataset(Dataset[Any]):
    """The framework's dataset, asked by (epoch, index): every sample is drawn with its own random numbers."""

    def __init__(self, inner: Any, seed: int, mosaic_epochs: int, close_mosaic: Callable[[Any], None]) -> None:
        self.inner = inner
        self._seed = seed
        self._mosaic_epochs = mosaic_epochs
        self._close_mosaic = close_mosaic
        self._mosaic_closed = False
        _choose_partners_from_everything(inner)

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, place: tuple[int, int]) -> Any:
        epoch, index = place
        if epoch >= self._mosaic_epochs and not self._mosaic_closed:
            self._close_mosaic(self.inner)
            self._mosaic_closed = True
        seed_generators(derive_seed(self._seed, "sample", epoch, index))
        return self.inner[index]

    def __getattr__(self, name: str) -> Any:
        # The framework asks its loader's dataset for labels, counts and the like.
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


def _choose_partners_from_everything(dataset: Any) -> None:
    """Mosaic takes its other three images from all of them, not from those that happened to be loaded last."""
    for transform in getattr(getattr(dataset, "transforms", None), "transforms", []):
        for one in (transform, *getattr(transform, "transforms", [])):
            if hasattr(one, "buffer_enabled"):
                one.buffer_enabled = False


class _Plan:
    """The batches still to come, as the loader's batch sampler."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class EpochLoader:
    """The training loader: `start` says from where, iterating yields the rest of that epoch."""

    drop_last = False

    def __init__(
        self,
        dataset: SeededDataset,
        batch_size: int,
        seed: int,
        *,
        rank: int,
        ranks: int,
        workers: int,
        pin: bool,
        smallest: int,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = workers
        self._seed = seed
        self._rank, self._ranks, self._smallest = rank, ranks, smallest
        self._plan = _Plan()
        self._loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=self._plan,
            num_workers=workers,
            collate_fn=getattr(dataset.inner, "collate_fn", None),
            pin_memory=pin,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_forget_signals if workers else None,
        )

    @property
    def sampler(self) -> range:
        """As long as an epoch; the framework asks for nothing else."""
        return range(len(self) * self.batch_size)

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / (self.batch_size * self._ranks))

    def start(self, epoch: int, done: int) -> None:
        """The next iteration yields the batches of this epoch after the first `done`."""
        plan = epoch_batches(
            self._seed,
            epoch,
            len(self.dataset),
            self.batch_size * self._ranks,
            rank=self._rank,
            ranks=self._ranks,
            smallest=self._smallest,
        )
        self._plan.batches = [[(epoch, index) for index in batch] for batch in plan[done:]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._loader)

    def close(self) -> None:
        """Ends the worker processes."""
        iterator = getattr(self._loader, "_iterator", None)
        if iterator is not None and hasattr(iterator, "_shutdown_workers"):
            iterator._shutdown_workers()


def _forget_signals(worker: int) -> None:
    """In a worker process: SIGTERM ends it at once, the others are its parent's business."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
