"""Where a training is: everything besides the weights that an exact resume needs, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Progress:
    """`epoch` counts finished epochs, `step` the finished steps of the current one, `update` all steps so far.

    `loss_sum` and `loss_count` are those of the current epoch: sum of the images' losses and number of images.
    """

    epoch: int = 0
    step: int = 0
    update: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best_top1: float = -1.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    epochs_without_gain: int = 0
    best_confusion: list[list[int]] = field(default_factory=list)
    history: list[dict[str, float | int | None]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return asdict(self)

    def note_evaluation(self, top1: float, loss: float, confusion: list[list[int]]) -> bool:
        """Records an epoch's result. Returns whether it is the best so far; equal accuracy is decided by the loss."""
        better = (top1, -loss) > (self.best_top1, -self.best_loss)
        if top1 > self.best_top1:
            self.epochs_without_gain = 0
        else:
            self.epochs_without_gain += 1
        if better:
            self.best_top1, self.best_loss, self.best_epoch = top1, loss, self.epoch
            self.best_confusion = confusion
        return better
