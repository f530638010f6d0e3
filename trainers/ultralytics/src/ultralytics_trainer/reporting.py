# SPDX-License-Identifier: AGPL-3.0-only
"""What the outside hears during training: at most two looks a second, because each look waits for the device."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor
from vision_trainer.events import EventPublisher
from vision_trainer.failures import FailureCode, TrainerFailure

from .measures import loss_part
from .progress import Progress

_LOOK_EVERY_S = 0.5
# So many steps in a row without a finite loss are no hiccup.
MAX_NON_FINITE_STEPS = 10


@dataclass(slots=True)
class _Look:
    """The last time the numbers were read."""

    at: float
    images: int
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0


class StepReporter:
    """Sums the losses on the device and reads the sums now and then."""

    def __init__(
        self, events: EventPublisher, progress: Progress, device: torch.device, *, epochs: int, steps: int
    ) -> None:
        self._events = events
        self._progress = progress
        self._device = device
        self._epochs = epochs
        self._steps = steps
        self._started = time.monotonic()
        self._first_update = progress.update
        self._sums = {name: self._number(value) for name, value in progress.loss_sums.items()}
        self._count = torch.tensor(progress.loss_count, dtype=torch.int64, device=device)
        self._non_finite = torch.zeros((), dtype=torch.int64, device=device)
        self.images = 0
        self._look = _Look(self._started, 0, dict(progress.loss_sums), progress.loss_count)
        self._next_look_at = 0.0

    def note_step(self, losses: dict[str, Tensor], images: int) -> None:
        """After each step, before anything else: adds up sums over its images without waiting for the device."""
        finite = torch.isfinite(losses["loss"])
        for name, value in losses.items():
            self._sums.setdefault(name, self._number(0.0)).add_(torch.where(finite, value, 0.0))
        self._count += finite * images
        self._non_finite = (self._non_finite + 1) * ~finite
        self.images += images

    def look_if_due(self, lr: float) -> None:
        """Publishes progress and step metrics when half a second has passed. Raises DIVERGED (see `read`)."""
        now = time.monotonic()
        if now < self._next_look_at:
            return
        self._next_look_at = now + _LOOK_EVERY_S
        self.read()
        progress, look = self._progress, self._look
        rate = (self.images - look.images) / max(now - look.at, 1e-9)
        values = self._means(look)
        self._look = _Look(now, self.images, dict(progress.loss_sums), progress.loss_count)
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
        values.update({"train/lr": lr, "perf/samples_per_s": round(rate, 1)})
        self._events.publish(
            "metrics",
            {"scope": "step", "split": "train", "epoch": progress.epoch + 1, "step": progress.update, "values": values},
        )

    def read(self) -> None:
        """Brings the sums into `progress`. Raises DIVERGED after too many steps without a finite loss."""
        self._progress.loss_sums = {name: value.item() for name, value in self._sums.items()}
        self._progress.loss_count = int(self._count.item())
        if self._non_finite.item() >= min(MAX_NON_FINITE_STEPS, self._steps * self._epochs):
            raise TrainerFailure(
                FailureCode.DIVERGED,
                f"The loss was no finite number above zero for {int(self._non_finite.item())} steps in a row "
                f"(epoch {self._progress.epoch + 1}, step {self._progress.step}).",
            )

    def end_epoch(self) -> dict[str, float]:
        """The mean training losses of the epoch under the contract's names; starts the sums of the next one."""
        self.read()
        progress = self._progress
        means = self._means(_Look(0.0, 0))
        progress.loss_sums, progress.loss_count = {}, 0
        self._sums = {}
        self._count.zero_()
        self._look = _Look(time.monotonic(), self.images)
        return means

    def _means(self, since: _Look) -> dict[str, float]:
        count = self._progress.loss_count - since.count
        sums = {name: value - since.sums.get(name, 0.0) for name, value in self._progress.loss_sums.items()}
        names = {name: "train/loss" if name == "loss" else f"train/{loss_part(name)}" for name in sums}
        return {names[name]: value / count if count else float("nan") for name, value in sums.items()}

    def _number(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self._device)

    def _eta_s(self, now: float) -> float | None:
        """Seconds to the end at the pace since this process began, evaluations included."""
        done = self._progress.update - self._first_update
        left = self._epochs * self._steps - self._progress.update
        return round((now - self._started) / done * left, 1) if done else None
