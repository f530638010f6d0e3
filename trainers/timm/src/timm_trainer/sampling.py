"""Which images an epoch sees, in which order: a pure function of (seed, epoch), so a resume can step in anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """A permutation of range(count) that depends on nothing but its arguments."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    order: list[int] = generator.permutation(count).tolist()
    return order


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Updates in one epoch. A last batch of a single image is left out: batch normalisation cannot use it."""
    full, rest = divmod(count, batch_size)
    return full + (rest > 1 or full == 0)


def batches(seed: int, epoch: int, count: int, batch_size: int, first_step: int = 0) -> Iterator[list[int]]:
    """The index lists of an epoch's steps from `first_step` on. Skipping costs nothing: no image is decoded for it."""
    order = epoch_order(seed, epoch, count)
    for step in range(first_step, steps_per_epoch(count, batch_size)):
        yield order[step * batch_size : (step + 1) * batch_size]


def sample_rng(seed: int, epoch: int, index: int) -> random.Random:
    """The private generator of one image in one epoch: its augmentation is the same on any thread, in any order."""
    return random.Random(((seed * 1_000_003 + epoch) << 40) | index)  # noqa: S311 - augmentation, not a secret
