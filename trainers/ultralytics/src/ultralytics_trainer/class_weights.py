# SPDX-License-Identifier: AGPL-3.0-only
"""Class weights for classification, where the framework has none; for objects they are the framework's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class WeightedLabelLoss:
    """The framework's criterion for classification, each image's loss multiplied by the weight of its class."""

    def __init__(self, weights: Tensor) -> None:
        self._weights = weights

    def __call__(self, preds: Any, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean over the images, and what is shown of it."""
        logits = preds[1] if isinstance(preds, list | tuple) else preds
        each = functional.cross_entropy(logits, batch["cls"], reduction="none")
        loss = (each * self._weights[batch["cls"]]).mean()
        return loss, {"loss": loss.detach()}


def weights_of_labels(labels: list[int], num_classes: int, power: float) -> Tensor:
    """Inverse class frequencies to the given power, scaled so that their mean over the images is 1.

    So the learning rate keeps its meaning. A class without images weighs 1; no loss is ever multiplied by it.
    """
    counts = torch.bincount(torch.tensor(labels), minlength=num_classes).double()
    weights = counts.clamp(min=1).pow(-power)
    weights = weights * len(labels) / (weights * counts).sum()
    return torch.where(counts > 0, weights, 1.0).float()
