"""Which examples an epoch sees, in which order: a pure function of (seed, epoch), so a resume can step in anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """A permutation of range(count) that depends on nothing but its arguments."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    order: list[int] = generator.permutation(count).tolist()
    return order


def steps_per_epoch(count: int, batch_size: int, world_size: int = 1) -> int:
    """Updates in one epoch. A last batch with fewer than two examples a process is left out.

    Batch normalisation cannot use a single one, and no process may be without work while the others wait for it.
    """
    full, rest = divmod(count, batch_size)
    return full + (rest >= 2 * world_size or full == 0)


def batches(
    seed: int, epoch: int, count: int, batch_size: int, first_step: int = 0, rank: int = 0, world_size: int = 1
) -> Iterator[list[int]]:
    """The index lists of an epoch's steps from `first_step` on: process `rank`'s every `world_size`-th of each batch.

    Skipping costs nothing: no image is decoded for it.
    """
    order = epoch_order(seed, epoch, count)
    for step in range(first_step, steps_per_epoch(count, batch_size, world_size)):
        yield order[step * batch_size : (step + 1) * batch_size][rank::world_size]


def example_rng(seed: int, epoch: int, index: int) -> random.Random:
    """The private generator of one example in one epoch: its augmentation is the same on any thread, in any order."""
    return random.Random(((seed * 1_000_003 + epoch) << 40) | index)  # noqa: S311 - augmentation, not a secret
