"""The learning rate as a pure function of the update's number: nothing to save, nothing to resume."""

from __future__ import annotations

import math


def learning_rate(update: int, total: int, warmup: int, peak: float, min_ratio: float) -> float:
    """Linear warm-up to `peak`, then half a cosine down to `peak * min_ratio` (Loshchilov & Hutter, SGDR, eq. 5).

    `update` counts from 0; `warmup` and `total` are numbers of updates.
    """
    if update < warmup:
        return peak * (update + 1) / (warmup + 1)
    progress = min(1.0, (update - warmup) / max(1, total - warmup))
    floor = peak * min_ratio
    return floor + (peak - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
