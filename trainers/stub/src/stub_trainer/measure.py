"""What the walk is worth on a split."""

from __future__ import annotations

from collections.abc import Sequence

from vision_trainer.contracts import DatasetSample

from .walk import Walk

_TOP = 5


def measure(walk: Walk, samples: Sequence[DatasetSample], classes: int) -> dict[str, float]:
    """Loss (mean squared distance to the target), top-1 and top-5 accuracy as shares."""
    ranks = [rank_of_label(walk, sample, classes) for sample in samples]
    count = max(1, len(ranks))
    return {
        "val/loss": walk.loss(),
        "val/top1": sum(rank == 0 for rank in ranks) / count,
        "val/top5": sum(rank < _TOP for rank in ranks) / count,
    }


def rank_of_label(walk: Walk, sample: DatasetSample, classes: int) -> int:
    """0 when the sample's own class scores highest."""
    return ranking(walk.scores(sample, classes)).index(sample.label or 0)


def ranking(scores: Sequence[float]) -> list[int]:
    """Class indices, most likely first; of equal ones the lower index."""
    return sorted(range(len(scores)), key=lambda index: (-scores[index], index))
