"""Measures a model on a split: loss, top-1, top-5 and the confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .loader import Batch


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`confusion[truth][prediction]` counts images. top1 and top5 are shares of 1."""

    loss: float
    top1: float
    top5: float
    confusion: list[list[int]]

    @property
    def metrics(self) -> dict[str, float | None]:
        """By their names in the contract."""
        return {"val/loss": self.loss, "val/top1": self.top1, "val/top5": self.top5}


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    num_classes: int,
    normalise: Callable[[Tensor], Tensor],
    precision: Callable[[], AbstractContextManager[object]],
    device: torch.device,
    stop_requested: Callable[[], bool],
) -> Evaluation | None:
    """Runs the model in evaluation mode over all batches. Sums stay on the device until the end.

    Returns None when a stop was asked for meanwhile: a large split must not use up the grace time.
    """
    was_training = model.training
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=device)
    in_top5 = torch.zeros((), dtype=torch.int64, device=device)
    confusion = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=device)
    count = 0
    for images, labels in batches:
        if stop_requested():
            model.train(was_training)
            return None
        targets = labels.to(device, non_blocking=True)
        with precision():
            logits = model(normalise(images))
        logits = logits.float()
        loss += functional.cross_entropy(logits, targets, reduction="sum").double()
        best = logits.topk(min(5, num_classes), dim=1).indices
        in_top5 += (best == targets[:, None]).any(dim=1).sum()
        confusion += torch.bincount(targets * num_classes + best[:, 0], minlength=num_classes * num_classes)
        count += len(labels)
    model.train(was_training)
    matrix = confusion.reshape(num_classes, num_classes)
    return Evaluation(
        loss=loss.item() / count,
        top1=matrix.diagonal().sum().item() / count,
        top5=in_top5.item() / count,
        confusion=matrix.tolist(),
    )
