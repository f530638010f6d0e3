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
    best_value: float = float("-inf")
    best_loss: float = float("inf")
    best_epoch: int = 0
    epochs_without_gain: int = 0
    history: list[dict[str, float | int | None]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return asdict(self)

    def note_evaluation(self, value: float | None, loss: float | None) -> bool:
        """Records an epoch's primary metric (more is better) and loss. Returns whether it is the best so far.

        Equal metrics are decided by the loss; None counts as worse than anything.
        """
        value = float("-inf") if value is None else value
        loss = float("inf") if loss is None else loss
        better = self.best_epoch == 0 or (value, -loss) > (self.best_value, -self.best_loss)
        if value > self.best_value:
            self.epochs_without_gain = 0
        else:
            self.epochs_without_gain += 1
        if better:
            self.best_value, self.best_loss, self.best_epoch = value, loss, self.epoch
        return better
