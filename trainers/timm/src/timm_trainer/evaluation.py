"""Measures a model on a split: loss, top-1, top-5, the confusion matrix, and what it said about each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .loader import EvaluationBatch
from .team import Team, Wish

TOP = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model said about one image of the split: the classes it finds likeliest, with their probabilities."""

    index: int
    loss: float
    labels: list[int]
    scores: list[float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`confusion[truth][prediction]` counts images. top1 and top5 are shares of 1.

    `verdicts` are those of this process; with several processes each has every `world`-th batch.
    """

    loss: float
    top1: float
    top5: float
    confusion: list[list[int]]
    verdicts: list[Verdict]

    @property
    def metrics(self) -> dict[str, float | None]:
        """By their names in the contract."""
        return {"val/loss": self.loss, "val/top1": self.top1, "val/top5": self.top5}


@dataclass(slots=True)
class _Seen:
    """What one process saw: per batch the sum of losses, and per image the verdict's numbers, still on the device."""

    losses: list[Tensor] = field(default_factory=list)
    per_image: list[tuple[list[int], Tensor, Tensor, Tensor]] = field(default_factory=list)


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterator[EvaluationBatch],
    rounds: int,
    num_classes: int,
    normalise: Callable[[Tensor], Tensor],
    precision: Callable[[], AbstractContextManager[object]],
    device: torch.device,
    team: Team,
    stop_requested: Callable[[], bool],
) -> Evaluation | None:
    """Runs the model in evaluation mode over all batches. Sums stay on the device until the end.

    The result is the same to the last bit for any number of processes: batches are of one size, and their losses are
    added in the order of the split. Returns None when a stop was asked for meanwhile: a large split must not use up
    the grace time.
    """
    model.eval()
    in_top5 = torch.zeros((), dtype=torch.int64, device=device)
    confusion = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=device)
    seen = _Seen()
    for _ in range(rounds):
        # Asked in every round by every process, also by one that has no batch left.
        if team.agree(Wish.STOP if stop_requested() else Wish.GO_ON) is Wish.STOP:
            return None
        batch = next(batches, None)
        if batch is None:
            continue
        targets = batch.labels.to(device, non_blocking=True)
        with precision():
            logits = model(normalise(batch.images))
        logits = logits.float()
        losses = functional.cross_entropy(logits, targets, reduction="none").double()
        top = logits.softmax(dim=1).topk(min(TOP, num_classes), dim=1)
        in_top5 += (top.indices == targets[:, None]).any(dim=1).sum()
        confusion += torch.bincount(targets * num_classes + top.indices[:, 0], minlength=num_classes * num_classes)
        seen.losses.append(losses.sum())
        seen.per_image.append((batch.indices, losses, top.indices, top.values))
    shares = team.gather(([loss.item() for loss in seen.losses], int(in_top5.item()), confusion.cpu()))
    return _together(shares, rounds, num_classes, list(_verdicts(seen)))


def _together(shares: list[Any], rounds: int, num_classes: int, verdicts: list[Verdict]) -> Evaluation:
    in_order = [losses[number] for number in range(rounds) for losses, _, _ in shares if number < len(losses)]
    matrix = torch.stack([confusion for _, _, confusion in shares]).sum(dim=0).reshape(num_classes, num_classes)
    count = int(matrix.sum().item())
    return Evaluation(
        loss=sum(in_order) / count,
        top1=matrix.diagonal().sum().item() / count,
        top5=sum(in_top5 for _, in_top5, _ in shares) / count,
        confusion=matrix.tolist(),
        verdicts=verdicts,
    )


def _verdicts(seen: _Seen) -> Iterator[Verdict]:
    for indices, losses, labels, scores in seen.per_image:
        rows = zip(indices, losses.tolist(), labels.tolist(), scores.tolist(), strict=True)
        yield from (Verdict(*row) for row in rows)
