"""Compares two runs of a two-stage detector, whose decoder is given the best of many candidates.

Which candidates are best, and in which order, hangs on the last bit of their scores. So the original is run again with
the candidates that the other run chose: then all rows must agree. The chosen ones must be as good as its own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

_COMPARED = ("logits", "boxes", "candidates")

Array = np.ndarray[Any, Any]


@contextmanager
def candidate_choice(forced: Tensor | None = None) -> Iterator[list[Tensor]]:
    """Collects what `torch.topk` chooses along axis 1 in a forward pass; with `forced` it chooses those indices.

    transformers' RT-DETR gives no other access to the choice. The list holds batch x queries indices.
    """
    seen: list[Tensor] = []
    original: Callable[..., Any] = torch.topk

    def topk(values: Tensor, *options: Any, **named: Any) -> Any:
        if forced is None:
            found = original(values, *options, **named)
            seen.append(found[1])
            return found
        seen.append(forced)
        return values.gather(1, forced), forced

    torch.topk = topk  # type: ignore[assignment]
    try:
        yield seen
    finally:
        torch.topk = original


def two_stage_gap(again: dict[str, Array], ours: dict[str, Array], theirs: dict[str, Array]) -> float:
    """The largest difference between `theirs` and the original run `again` with their candidates.

    `ours` is the original's own run: how sure the candidates were must be the same in both. Infinity where shapes
    differ or a value is no number.
    """
    if any(again[name].shape != theirs[name].shape or not np.isfinite(theirs[name]).all() for name in _COMPARED):
        return float("inf")
    rows = max(float(np.abs(again[name] - theirs[name]).max()) for name in _COMPARED)
    sure = [np.sort(raw["candidates"].max(axis=-1), axis=-1) for raw in (ours, theirs)]
    return max(rows, float(np.abs(sure[0] - sure[1]).max()))
