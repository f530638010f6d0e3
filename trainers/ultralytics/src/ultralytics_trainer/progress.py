# SPDX-License-Identifier: AGPL-3.0-only
"""Where a training is: everything besides the weights that an exact resume needs, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Progress:
    """`epoch` counts finished epochs, `step` the finished updates of the current one, `update` all updates so far.

    `loss_sums` are those of the current epoch: sum over the images of the loss ("loss") and of its parts.
    """

    epoch: int = 0
    step: int = 0
    update: int = 0
    batch_size: int = 0
    loss_sums: dict[str, float] = field(default_factory=dict)
    loss_count: int = 0
    best_score: float = -1.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    epochs_without_gain: int = 0
    parts: int = 1
    history: list[dict[str, float | int | None]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return asdict(self)

    def note_evaluation(self, score: float, loss: float) -> bool:
        """Records an epoch's result. Returns whether it is the best so far; equal scores are decided by the loss."""
        better = (score, -loss) > (self.best_score, -self.best_loss)
        if score > self.best_score:
            self.epochs_without_gain = 0
        else:
            self.epochs_without_gain += 1
        if better:
            self.best_score, self.best_loss, self.best_epoch = score, loss, self.epoch
        return better
