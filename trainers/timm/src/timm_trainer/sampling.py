"""Which images an epoch sees, in which order: a pure function of (seed, epoch), so a resume can step in anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Mixed sizes train at these shares of the image size.
_SIZE_SHARES = (0.75, 1.0, 1.25)
_SIZE_STEP = 32


class StepPlan(NamedTuple):
    """One step of an epoch as one process sees it: its own images, and how many all processes have together."""

    step: int
    indices: list[int]
    total: int


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """A permutation of range(count) that depends on nothing but its arguments."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    order: list[int] = generator.permutation(count).tolist()
    return order


def steps_per_epoch(count: int, batch_size: int, world: int = 1) -> int:
    """Updates in one epoch. A last batch that leaves a process a single image is left out: batch norm cannot use it."""
    full, rest = divmod(count, batch_size)
    return full + (rest >= 2 * world or full == 0)


def batches(
    seed: int, epoch: int, count: int, batch_size: int, first_step: int = 0, world: int = 1
) -> Iterator[list[int]]:
    """The index lists of an epoch's steps from `first_step` on. Skipping costs nothing: no image is decoded for it."""
    order = epoch_order(seed, epoch, count)
    for step in range(first_step, steps_per_epoch(count, batch_size, world)):
        yield order[step * batch_size : (step + 1) * batch_size]


def step_plans(
    seed: int, epoch: int, count: int, batch_size: int, first_step: int = 0, rank: int = 0, world: int = 1
) -> Iterator[StepPlan]:
    """`batches`, divided among the processes: each takes every `world`-th image of a batch."""
    for offset, indices in enumerate(batches(seed, epoch, count, batch_size, first_step, world)):
        yield StepPlan(first_step + offset, indices[rank::world], len(indices))


def sample_rng(seed: int, epoch: int, index: int) -> random.Random:
    """The private generator of one image in one epoch: its augmentation is the same on any thread, in any order."""
    return random.Random(((seed * 1_000_003 + epoch) << 40) | index)  # noqa: S311 - augmentation, not a secret


def step_rng(seed: int, epoch: int, step: int, rank: int) -> random.Random:
    """The private generator of one step of one process: what is drawn once for a whole batch."""
    # Negative, so that it never is the generator of an image.
    return random.Random(-(((seed * 1_000_003 + epoch) << 48) | (step << 8) | rank) - 1)  # noqa: S311


def mixed_size(seed: int, epoch: int, step: int, size: int) -> int:
    """The image size of a step with mixed sizes, the same in all processes; a multiple of 32."""
    share = step_rng(seed, epoch, step, 255).choice(_SIZE_SHARES)
    return max(_SIZE_STEP, round(size * share / _SIZE_STEP) * _SIZE_STEP)
