"""Compares two runs of a two-stage detector, whose decoder is given the best of many candidates.

Which candidates are best, and in which order, hangs on differences of the last bit. So rows are compared that come of
the same candidate, and only in images where both runs chose the same ones; where they did not, the candidates on the
edge must have been as good as equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

# Candidate boxes (shares of the input) are the same box up to here.
_SAME_BOX = 1e-4
_COMPARED = ("logits", "boxes")

Array = np.ndarray[Any, Any]


def two_stage_gap(ours: dict[str, Array], theirs: dict[str, Array]) -> float:
    """The largest difference; infinity where shapes differ, a value is no number, or no image can be compared."""
    if any(ours[name].shape != theirs[name].shape or not np.isfinite(theirs[name]).all() for name in ours):
        return float("inf")
    largest, compared = 0.0, 0
    for image in range(len(ours["logits"])):
        one, other = ({name: values[image] for name, values in raw.items()} for raw in (ours, theirs))
        # How sure each candidate was, best first: equal also where candidates changed places.
        sure = [np.sort(raw["candidates"].max(axis=-1)) for raw in (one, other)]
        largest = max(largest, float(np.abs(sure[0] - sure[1]).max()))
        rows = _same_candidates(one["candidate_boxes"], other["candidate_boxes"])
        if rows is not None:
            compared += 1
            largest = max(largest, *(float(np.abs(one[name] - other[name][rows]).max()) for name in _COMPARED))
    return largest if compared else float("inf")


def _same_candidates(one: Array, other: Array) -> Array | None:
    """For each row of `one` the row of `other` with the same box; None when one of them has none."""
    distances = np.abs(one[:, None] - other[None]).max(axis=-1)
    rows, columns = linear_sum_assignment(distances)
    return columns if distances[rows, columns].max() <= _SAME_BOX else None
