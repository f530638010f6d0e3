"""What only one process of a training does: talk to the platform. The others have a Follower, which keeps silent."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor
from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot
from vision_trainer.contracts import CheckpointPointer
from vision_trainer.events import EventPublisher
from vision_trainer.failures import StopReason, TrainingStopped
from vision_trainer.run import TrainerJob, TrainerOutcome
from vision_trainer.samples import SamplePublisher

from .artifacts import upload_artifacts
from .examples import ImageSource
from .learner import Learner
from .plan import TrainingPlan
from .progress import Progress
from .reporting import StepReporter
from .tasks.task import Measured, Outcome, by_image
from .team import Wish
from .training_state import save_state

# Kept back from the grace time for the last events and the process's end.
_FAREWELL_S = 3.0
_SAMPLES_PER_EPOCH = 4
_SHOWN_SCORE = 0.3


class Follower:
    """Every process but the first: does what the first one wishes, says nothing."""

    events: EventPublisher | None = None

    def begin(self, learner: Learner, progress: Progress) -> None:
        """Before the first step; `progress` is what is going to move."""

    def note_step(self, loss: Tensor, examples: int) -> None:
        """After each step."""

    def wish(self, lr: float) -> Wish:
        """What to do after a step."""
        return Wish.GO_ON

    def stop_requested(self) -> bool:
        """Whether to leave an evaluation."""
        return False

    def save(self, rngs: list[Any], best: dict[str, Tensor] | None, *, best_is_current: bool, periodic: bool) -> None:
        """Makes a checkpoint."""

    def note_epoch(self, measured: Measured, outcomes: list[Outcome], train_values: dict[str, float]) -> None:
        """After the evaluation of an epoch."""

    def end_epoch(self) -> float:
        """The mean training loss of the epoch."""
        return math.nan

    def leave(self) -> TrainingStopped:
        """The exception to leave with after a stop."""
        return TrainingStopped(StopReason.CANCELLED, None)


class Lead(Follower):
    """The first process: events, checkpoints, artifacts."""

    def __init__(
        self,
        job: TrainerJob,
        plan: TrainingPlan,
        identity: CheckpointIdentity,
        pointers: dict[str, CheckpointPointer],
        device: torch.device,
    ) -> None:
        self.events = job.events
        self._job = job
        self._plan = plan
        self._device = device
        self._store = CheckpointStore(job.storage, job.events, identity, job.env.output_uri, job.work_dir)
        self._store.adopt_pointers(pointers)
        skeleton = plan.data.skeleton
        self._samples = SamplePublisher(job, per_epoch=_SAMPLES_PER_EPOCH, skeleton=skeleton)
        self._source = ImageSource(plan.reader, plan.val_samples, budget=0)

    def begin(self, learner: Learner, progress: Progress) -> None:
        """Counts from here."""
        self._learner = learner
        self._progress = progress
        self._reporter = StepReporter(
            self._job.events, progress, self._device, epochs=self._plan.epochs, steps=self._plan.steps
        )
        self._last_save = time.monotonic()
        self._job.leave_if_stopped()
        self._job.events.phase("training")

    def note_step(self, loss: Tensor, examples: int) -> None:
        """Adds up; nothing waits for the device."""
        self._reporter.note_step(loss, examples)

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

    def save(self, rngs: list[Any], best: dict[str, Tensor] | None, *, best_is_current: bool, periodic: bool) -> None:
        """Takes a snapshot of everything and hands it to the store, which uploads it in the background."""
        self._reporter.read()
        progress = self._progress
        folder = self._store.new_folder()
        save_state(folder, self._learner, progress, best, rngs, self._plan.batch_size, best_is_current=best_is_current)
        newest = progress.history[-1] if progress.history else {}
        metrics = {name: value for name, value in newest.items() if name != "epoch"}
        snapshot = Snapshot(folder, progress.epoch, progress.update, metrics, best=best_is_current, periodic=periodic)
        self._store.submit(snapshot)
        self._last_save = time.monotonic()

    def end_epoch(self) -> float:
        """Starts the sums of the next one."""
        return self._reporter.end_epoch()

    def note_epoch(self, measured: Measured, outcomes: list[Outcome], train_values: dict[str, float]) -> None:
        """Publishes the epoch's metrics and a few images with what the model says about them."""
        progress = self._progress
        for split, values in (("train", train_values), ("val", measured.metrics)):
            self._job.events.publish(
                "metrics",
                {"scope": "epoch", "split": split, "epoch": progress.epoch, "step": progress.update, "values": values},
            )
        row = {**train_values, **measured.metrics}
        progress.history.append({"epoch": progress.epoch, **{name: _finite(value) for name, value in row.items()}})
        images = by_image(outcomes)
        for found in images[:: max(1, len(images) // _SAMPLES_PER_EPOCH)][:_SAMPLES_PER_EPOCH]:
            self._samples.publish(
                epoch=progress.epoch,
                step=progress.update,
                sample_id=found[0].example.name,
                image=self._source.image(found[0].example),
                prediction=self._plan.task.prediction(found, _SHOWN_SCORE),
                truth=self._plan.task.truth(found[0]),
                mask=self._plan.task.mask(found[0]),
            )

    def leave(self) -> TrainingStopped:
        """Waits for the final checkpoint within the grace time. Raises STORAGE_FAILURE when it does not get there."""
        self._job.events.phase("cancelling")
        uri = self._store.finish(max(1.0, self._job.stop.grace_left_s() - _FAREWELL_S))
        return TrainingStopped(self._job.stop.reason, uri)

    def finish(self, learner: Learner, best: dict[str, Tensor]) -> TrainerOutcome:
        """Checkpoints first, then the artifacts, RESULT.json last."""
        job, progress = self._job, self._progress
        job.events.phase("uploading")
        self._samples.close(_FAREWELL_S)
        self._store.finish(job.storage.patience_s * 2)
        row = progress.history[progress.best_epoch - 1]
        metrics = {name: value for name, value in row.items() if name != "epoch"}
        upload_artifacts(job, progress, learner.model, best, self._plan.data)
        job.result.write("succeeded", metrics)
        return TrainerOutcome(metrics)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
