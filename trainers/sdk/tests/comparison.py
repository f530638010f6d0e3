"""A trainer against its framework's own script, for `./vp bench trainers`: same model, images, settings and moment.

On a CPU both run at once, each on half of the CPUs, and swap the halves every round: a machine whose speed changes by
a third within minutes then changes it for both. On a GPU they take turns.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# samples_per_s: of every epoch's training steps; final: the primary metric; first_step_s: from the process's start.
Run = dict[str, Any]
# The seed, which is the round's number as well.
Side = Callable[[int], Run]


def compare(what: str, metric: str, rounds: int, device: str, ours: Side, reference: Side) -> str:
    """Runs both with the seeds 1 to `rounds`. Returns the result as one JSON line.

    A side's samples_per_s is the median of all epochs but each run's first; `ratios` are the rounds' own, `ratio` is
    their median.
    """
    pairs = [_together(seed, device, ours, reference) for seed in range(1, rounds + 1)]
    ratios = [round(_rate([mine]) / _rate([theirs]), 3) for mine, theirs in pairs]
    found = {
        "what": f"{what}, {device}",
        "metric": metric,
        "ours": _summary([mine for mine, _ in pairs]),
        "reference": _summary([theirs for _, theirs in pairs]),
        "ratios": ratios,
        "ratio": round(statistics.median(ratios), 3),
    }
    return json.dumps(found)


def _together(seed: int, device: str, ours: Side, reference: Side) -> tuple[Run, Run]:
    # macOS has no affinity: there they take turns, too.
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if device != "cpu" or len(cpus) < 2:
        return ours(seed), reference(seed)
    half = len(cpus) // 2
    halves = [cpus[:half], cpus[half : 2 * half]]
    with ThreadPoolExecutor(2) as pool:
        runs: list[Future[Run]] = [
            pool.submit(_on, halves[(seed + place) % 2], side, seed) for place, side in enumerate((ours, reference))
        ]
        return runs[0].result(), runs[1].result()


def _on(cpus: list[int], side: Side, seed: int) -> Run:
    """Of this thread alone, and of the processes that it starts."""
    os.sched_setaffinity(0, cpus)
    return side(seed)


def _summary(runs: list[Run]) -> dict[str, Any]:
    return {
        "samples_per_s": round(_rate(runs), 1),
        "final": [round(run["final"], 4) for run in runs],
        "first_step_s": round(statistics.median(run["first_step_s"] for run in runs), 2),
    }


def _rate(runs: list[Run]) -> float:
    rates: list[float] = [rate for run in runs for rate in run["samples_per_s"][1:]]
    return statistics.median(rates)
