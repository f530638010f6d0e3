# SPDX-License-Identifier: AGPL-3.0-only
"""Which image is seen when, and with which random numbers: pure functions of (seed, epoch, index)."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """The order of `count` images in an epoch."""
    generator = torch.Generator()
    generator.manual_seed(derive_seed(seed, "order", epoch))
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order


def epoch_batches(
    seed: int, epoch: int, count: int, batch_size: int, *, rank: int = 0, ranks: int = 1, smallest: int = 1
) -> list[list[int]]:
    """The batches of one epoch, each as image indices; of every batch this rank takes its share.

    The last batch is what is left over. It is filled up from the start of the order to a multiple of `ranks`, and to
    `smallest` images a rank (batch normalisation over a single value is undefined).
    """
    order = epoch_order(seed, epoch, count)
    batches = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    last = batches[-1]
    missing = max(-len(last) % ranks, smallest * ranks - len(last))
    batches[-1] = last + [order[index % count] for index in range(missing)]
    return [batch[rank * len(batch) // ranks : (rank + 1) * len(batch) // ranks] for batch in batches]


def seed_step(seed: int, update: int, rank: int) -> None:
    """Before an update: each process drops out other units, but all draw the same size for images of mixed sizes."""
    drawn = derive_seed(seed, "step", update)
    seed_generators(drawn if rank == 0 else derive_seed(seed, "step", update, rank), device=True)
    random.seed(drawn)


def derive_seed(*parts: object) -> int:
    """64 bits that depend on all parts; the same on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


def seed_generators(seed: int, *, device: bool = False) -> None:
    """Seeds Python's, NumPy's and torch's generators of this process, with `device` those of the GPUs as well."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    # torch.manual_seed would note each call with its whole stack while there is no GPU in use: milliseconds.
    if device and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
