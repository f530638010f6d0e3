"""Where the repository is by all it said, and what of that is told: progress, metrics, the best epoch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from vision_trainer.events import EventPublisher
from vision_trainer.failures import FailureCode, TrainerFailure

from .progress_lines import Update

_LOOK_EVERY_S = 0.5
_MOST_EPOCHS = 100_000
# So many epochs in a row with a loss that is no number are no hiccup.
_DIVERGED_EPOCHS = 2


@dataclass(slots=True)
class Goal:
    """The metric that tells which epoch is best."""

    metric: str
    direction: str

    def better(self, value: float, than: float | None) -> bool:
        """Whether a value beats another; nothing beats when it is no number."""
        if not math.isfinite(value):
            return False
        return than is None or (value > than if self.direction == "max" else value < than)


@dataclass(slots=True)
class TrainingRecord:
    """Takes updates in. Epochs count from 1; `epoch` is the last finished one, `step` the steps of the present one."""

    events: EventPublisher
    goal: Goal
    epochs: int
    # Seconds per epoch are turned into samples per second by it.
    train_samples: int = 0
    epoch: int = 0
    running: int = 0
    step: int = 0
    steps: int = 0
    global_step: int = 0
    best: float | None = None
    best_epoch: int = 0
    seen: bool = False
    history: dict[int, dict[str, float | None]] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)
    _start_share: float = 0.0
    _next_look: float = 0.0
    _bad_losses: int = 0

    def continue_from(self, state: dict[str, Any]) -> None:
        """After a resume: what an earlier attempt had reached. Lines about epochs that are done are then passed
        over."""
        self.epoch = self.running = int(state["epoch"])
        self.global_step = int(state["global_step"])
        self.best, self.best_epoch = state["best"], int(state["best_epoch"])
        self.history = {int(epoch): row for epoch, row in state["history"].items()}
        self._start_share = self.share

    def state(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return {
            "epoch": self.epoch,
            "global_step": self.global_step,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": self.history,
        }

    @property
    def share(self) -> float:
        """Of the whole training, 0 to 1; epochs alone count where steps are unknown."""
        within = self.step / self.steps if self.steps and self.running > self.epoch else 0.0
        return min(1.0, (self.epoch + min(1.0, within)) / self.epochs) if self.epochs else 0.0

    def take(self, update: Update) -> bool:
        """Notes and publishes. Returns whether an epoch with the best figure so far was closed by it.

        Raises DIVERGED after several epochs whose loss is no number.
        """
        self.seen = True
        if update.epochs and update.kind == "step":
            self.epochs = min(update.epochs, _MOST_EPOCHS)
        return self._take_epoch(update) if update.kind == "epoch" else self._take_step(update)

    def _take_step(self, update: Update) -> bool:
        if update.epoch is not None:
            if update.epoch <= self.epoch:
                return False
            self.running = update.epoch
        elif self.running <= self.epoch:
            self.running = self.epoch + 1
        if update.steps:
            self.steps = update.steps
        if update.step is not None:
            self.step = update.step
            before = (self.running - 1) * self.steps
            self.global_step = max(self.global_step, before + update.step if self.steps else update.step)
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY_S
            self._publish_progress(self.running)
            if update.values:
                self._publish_metrics("step", update.split, self.running, update.values, self.global_step)
        return False

    def _take_epoch(self, update: Update) -> bool:
        epoch = update.epoch if update.epoch is not None else max(self.running, self.epoch, 1)
        if epoch < self.epoch or (epoch == self.epoch and set(update.values) <= set(self.history.get(epoch, {}))):
            return False
        if epoch > self.epoch:
            self.epoch, self.running, self.step = epoch, max(self.running, epoch), self.steps
            self.global_step = max(self.global_step, self.step_of(epoch))
        row: dict[str, float | None] = self.history.setdefault(epoch, {})
        by_split: dict[str, dict[str, float]] = {}
        for name, value in update.values.items():
            row[name] = value if math.isfinite(value) else None
            prefix = name.split("/", 1)[0]
            by_split.setdefault(prefix if prefix in ("train", "val", "test") else update.split, {})[name] = value
        for split, values in by_split.items():
            self._publish_metrics("epoch", split, epoch, values, self.step_of(epoch))
        self._publish_progress(epoch)
        self._watch_loss(update)
        figure = update.values.get(self.goal.metric)
        if figure is None or not self.goal.better(figure, self.best):
            return False
        self.best, self.best_epoch = figure, epoch
        return True

    def _watch_loss(self, update: Update) -> None:
        loss = update.values.get("train/loss")
        if loss is None:
            return
        self._bad_losses = 0 if math.isfinite(loss) else self._bad_losses + 1
        if self._bad_losses >= _DIVERGED_EPOCHS:
            raise TrainerFailure(
                FailureCode.DIVERGED, f"The training loss was not a finite number for {_DIVERGED_EPOCHS} epochs."
            )

    def _publish_progress(self, epoch: int) -> None:
        share, now = self.share, time.monotonic()
        gained = share - self._start_share
        elapsed = now - self._started
        eta = elapsed / gained * (1 - share) if gained > 0 else None
        pace = self.train_samples * self.epochs * gained / elapsed if elapsed > 0 and gained > 0 else None
        self.events.publish(
            "progress",
            {
                "epoch": epoch,
                "epochs": self.epochs,
                "step": self.step,
                "steps": self.steps,
                "pct": round(100 * share, 2),
                "eta_s": None if eta is None else round(eta, 1),
                "samples_per_s": None if not pace else round(pace, 1),
            },
        )

    def _publish_metrics(self, scope: str, split: str, epoch: int, values: dict[str, float], step: int) -> None:
        self.events.publish("metrics", {"scope": scope, "split": split, "epoch": epoch, "step": step, "values": values})

    def step_of(self, epoch: int) -> int:
        """The number of the step that closes an epoch; the epoch's own number where steps are unknown."""
        return epoch * self.steps if self.steps else epoch

    def metrics_of(self, epoch: int) -> dict[str, float | None]:
        """The figures of an epoch."""
        return dict(self.history.get(epoch, {}))
