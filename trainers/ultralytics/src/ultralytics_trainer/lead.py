# SPDX-License-Identifier: AGPL-3.0-only
"""What only one process of a training does: talk to the platform. The others have a Follower, which keeps silent."""

from __future__ import annotations

import time

from torch import Tensor
from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot
from vision_trainer.dataset import DatasetReader
from vision_trainer.events import EventPublisher
from vision_trainer.failures import StopReason, TrainingStopped
from vision_trainer.resume import ResumedCheckpoint
from vision_trainer.run import TrainerJob, TrainerOutcome

from .artifacts import upload_artifacts
from .learner import Learner, Losses
from .live_samples import LiveSamples
from .measures import finite, validate
from .plan import TrainingPlan
from .progress import Progress
from .reporting import StepReporter
from .team import Wish
from .training_state import save_state

# Kept back from the grace time for the last events and the process's end.
_FAREWELL_S = 3.0
Figures = dict[str, float | None]


class _ValidationStopped(Exception):
    """Raised by the validator's callback when a stop was asked for."""


class Follower:
    """Every process but the first: does what the first one wishes, says nothing."""

    events: EventPublisher | None = None

    def begin(self, learner: Learner, progress: Progress, steps: int) -> None:
        """Before the first of `steps` updates an epoch; `progress` is what is going to move."""

    def note_step(self, losses: Losses, images: int) -> None:
        """After each step."""

    def wish(self, lr: float) -> Wish:
        """What to do after a step."""
        return Wish.GO_ON

    def stop_requested(self) -> bool:
        """Whether somebody asked to stop."""
        return False

    def validate(self) -> Figures | None:
        """The figures of the validation split; None when a stop was asked for meanwhile."""
        return None

    def note_epoch(self, lr: float, seconds: float, figures: Figures) -> None:
        """After the validation of an epoch that took `seconds`."""

    def save(self, best: dict[str, Tensor] | None, *, is_best: bool = False, periodic: bool = False) -> None:
        """Makes a checkpoint."""

    def show(self, *, last: bool) -> None:
        """Shows some validation images."""

    def leave(self) -> TrainingStopped:
        """The exception to leave with after a stop."""
        return TrainingStopped(StopReason.CANCELLED, None)


class Lead(Follower):
    """The first process: events, validation, checkpoints, artifacts."""

    def __init__(
        self,
        job: TrainerJob,
        plan: TrainingPlan,
        reader: DatasetReader,
        identity: CheckpointIdentity,
        found: ResumedCheckpoint | None,
        device: str,
    ) -> None:
        self.events = job.events
        self._job = job
        self._plan = plan
        self._identity = identity
        self._store = CheckpointStore(job.storage, job.events, identity, job.env.output_uri, job.work_dir)
        if found is not None and found.uri.startswith(job.env.output_uri.rstrip("/") + "/"):
            self._store.adopt_pointers(found.pointers)
        self._live = LiveSamples(job, reader, plan.data, plan.size, device)

    def begin(self, learner: Learner, progress: Progress, steps: int) -> None:
        """Counts from here."""
        trainer = learner.trainer
        self._learner = learner
        self._progress = progress
        self._reporter = StepReporter(self._job.events, progress, trainer.device, epochs=trainer.epochs, steps=steps)
        self._images_before = 0
        self._last_save = time.monotonic()
        trainer.validator.callbacks["on_val_batch_end"].append(self._stop_validation)
        self._job.leave_if_stopped()
        self._job.events.phase("training")

    def note_step(self, losses: Losses, images: int) -> None:
        """Adds up; nothing waits for the device."""
        self._reporter.note_step(losses, images)

    def wish(self, lr: float) -> Wish:
        """Publishes where a look is due, and asks the outside. Raises DIVERGED (see StepReporter)."""
        self._reporter.look_if_due(lr)
        if self._job.stop.stop_requested:
            return Wish.STOP
        due = time.monotonic() - self._last_save >= self._job.env.checkpoint_every_s
        return Wish.SAVE if self._job.stop.take_checkpoint_request() or due else Wish.GO_ON

    def stop_requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._job.stop.stop_requested

    def validate(self) -> Figures | None:
        """On the averaged weights, in this process alone."""
        try:
            return validate(self._learner.trainer)
        except _ValidationStopped:
            return None

    def note_epoch(self, lr: float, seconds: float, figures: Figures) -> None:
        """Publishes the epoch's metrics, training and validation."""
        job, progress, reporter = self._job, self._progress, self._reporter
        train_values: Figures = {**reporter.end_epoch(), "train/lr": lr}
        train_values["perf/samples_per_s"] = (reporter.images - self._images_before) / max(seconds, 1e-9)
        self._images_before = reporter.images
        for split, values in (("train", train_values), ("val", figures)):
            job.events.publish(
                "metrics",
                {
                    "scope": "epoch",
                    "split": split,
                    "epoch": progress.epoch + 1,
                    "step": progress.update,
                    "values": values,
                },
            )
        row = {**train_values, **figures}
        cleaned = {name: finite(value) if value is not None else None for name, value in row.items()}
        progress.history.append({"epoch": progress.epoch + 1, **cleaned})

    def save(self, best: dict[str, Tensor] | None, *, is_best: bool = False, periodic: bool = False) -> None:
        """Takes a snapshot of everything and hands it to the store, which uploads it in the background."""
        progress = self._progress
        self._reporter.read()
        progress.parts = self._learner.parts
        folder = self._store.new_folder()
        save_state(folder, self._learner, progress, best, self._plan.world, best_is_current=is_best)
        newest = progress.history[-1] if progress.history else {}
        metrics = {name: value for name, value in newest.items() if name != "epoch"}
        self._store.submit(Snapshot(folder, progress.epoch, progress.update, metrics, best=is_best, periodic=periodic))
        self._last_save = time.monotonic()

    def show(self, *, last: bool) -> None:
        """The first validation images with what the averaged weights say about them."""
        self._live.publish(self._learner.evaluated_model, self._progress, last=last)

    def leave(self) -> TrainingStopped:
        """Waits for the final checkpoint within the grace time. Raises STORAGE_FAILURE when it does not get there."""
        self._job.events.phase("cancelling")
        uri = self._store.finish(max(1.0, self._job.stop.grace_left_s() - _FAREWELL_S))
        return TrainingStopped(self._job.stop.reason, uri)

    def finish(self, best: dict[str, Tensor]) -> TrainerOutcome:
        """Checkpoints first, then the artifacts, RESULT.json last."""
        job, progress = self._job, self._progress
        self._live.close()
        job.events.phase("uploading")
        self._store.finish(job.storage.patience_s * 2)
        row = progress.history[progress.best_epoch - 1]
        metrics = {name: value for name, value in row.items() if name != "epoch"}
        upload_artifacts(job, progress, best, self._identity.model)
        job.result.write("succeeded", metrics)
        return TrainerOutcome(metrics)

    def _stop_validation(self, validator: object) -> None:
        if self._job.stop.stop_requested:
            raise _ValidationStopped
