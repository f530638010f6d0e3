"""What the outside hears during training: at most two looks a second, because each look waits for the device."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor
from vision_trainer.events import EventPublisher
from vision_trainer.failures import FailureCode, TrainerFailure

from .progress import Progress

_LOOK_EVERY_S = 0.5
# So many steps in a row without a finite loss are no hiccup.
MAX_NON_FINITE_STEPS = 10


@dataclass(slots=True)
class _Look:
    """The last time the numbers were read."""

    at: float
    images: int
    loss_sum: float
    loss_count: int


class StepReporter:
    """Sums the losses on the device and reads the sums now and then."""

    def __init__(
        self, events: EventPublisher, progress: Progress, device: torch.device, *, epochs: int, steps: int
    ) -> None:
        self._events = events
        self._progress = progress
        self._epochs = epochs
        self._steps = steps
        self._started = time.monotonic()
        self._first_update = progress.update
        self._loss_sum = torch.tensor(progress.loss_sum, dtype=torch.float64, device=device)
        self._loss_count = torch.tensor(progress.loss_count, dtype=torch.int64, device=device)
        self._non_finite = torch.zeros((), dtype=torch.int64, device=device)
        self._images = 0
        self._look = _Look(self._started, 0, progress.loss_sum, progress.loss_count)
        self._next_look_at = 0.0

    def note_step(self, loss: Tensor, images: int) -> None:
        """After each step, before anything else: adds up without waiting for the device."""
        finite = torch.isfinite(loss)
        self._loss_sum += torch.where(finite, loss, 0.0).double() * images
        self._loss_count += finite * images
        self._non_finite = (self._non_finite + 1) * ~finite
        self._images += images

    def look_if_due(self, lr: float) -> None:
        """Publishes progress and step metrics when half a second has passed. Raises DIVERGED (see `read`)."""
        now = time.monotonic()
        if now < self._next_look_at:
            return
        self._next_look_at = now + _LOOK_EVERY_S
        self.read()
        progress, look = self._progress, self._look
        rate = (self._images - look.images) / max(now - look.at, 1e-9)
        count = progress.loss_count - look.loss_count
        recent_loss = (progress.loss_sum - look.loss_sum) / count if count else float("nan")
        self._look = _Look(now, self._images, progress.loss_sum, progress.loss_count)
        share = min(1.0, progress.update / (self._epochs * self._steps))
        self._events.publish(
            "progress",
            {
                "epoch": progress.epoch + 1,
                "epochs": self._epochs,
                "step": progress.step,
                "steps": self._steps,
                "pct": round(100.0 * share, 2),
                "eta_s": self._eta_s(now),
                "samples_per_s": round(rate, 1),
            },
        )
        values = {"train/loss": recent_loss, "train/lr": lr, "perf/samples_per_s": round(rate, 1)}
        self._events.publish(
            "metrics",
            {"scope": "step", "split": "train", "epoch": progress.epoch + 1, "step": progress.update, "values": values},
        )

    def read(self) -> None:
        """Brings the sums into `progress`. Raises DIVERGED after too many steps without a finite loss."""
        self._progress.loss_sum = self._loss_sum.item()
        self._progress.loss_count = int(self._loss_count.item())
        if self._non_finite.item() >= MAX_NON_FINITE_STEPS:
            raise TrainerFailure(
                FailureCode.DIVERGED,
                f"The loss was not a finite number for {MAX_NON_FINITE_STEPS} steps in a row "
                f"(epoch {self._progress.epoch + 1}, step {self._progress.step}).",
            )

    def end_epoch(self) -> float:
        """The mean training loss of the epoch; starts the sums of the next one."""
        self.read()
        progress = self._progress
        mean = progress.loss_sum / progress.loss_count if progress.loss_count else float("nan")
        progress.loss_sum, progress.loss_count = 0.0, 0
        self._loss_sum.zero_()
        self._loss_count.zero_()
        self._look = _Look(time.monotonic(), self._images, 0.0, 0)
        return mean

    def _eta_s(self, now: float) -> float | None:
        """Seconds to the end at the pace since this process began, evaluations included."""
        done = self._progress.update - self._first_update
        left = self._epochs * self._steps - self._progress.update
        return round((now - self._started) / done * left, 1) if done else None
