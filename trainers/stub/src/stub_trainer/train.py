"""The training loop, to be read from top to bottom: this is what an author of a trainer has to do, no more."""

from __future__ import annotations

import math
import time

from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot, hash_config
from vision_trainer.contracts import DatasetSample
from vision_trainer.failures import FailureCode, TrainerFailure, TrainingStopped
from vision_trainer.resume import ResumedCheckpoint, resume_checkpoint
from vision_trainer.run import TrainerJob, TrainerOutcome

from .artifacts import upload_artifacts
from .faults import Faults
from .lies import told
from .measure import measure
from .settings import StubSettings, read_settings
from .source import open_source
from .walk import WEIGHTS, Progress, Walk, epoch_order, load_state, read_weights, save_state

_STEP_EVENT_S = 0.5
_FAREWELL_S = 1.0
_MAX_NON_FINITE_STEPS = 10


def train(job: TrainerJob) -> TrainerOutcome:
    """Trains the walk: settings, data, checkpoint, steps, evaluation, artifacts, result."""
    env = job.env
    settings = read_settings(StubSettings, env.config)
    source = open_source(job, read=settings.read_dataset)
    train_samples, val_samples = source.train, source.val
    epochs, batch_size = env.epochs or 1, env.batch_size or 1
    learning_rate = (env.learning_rate or 0.0) * (0.01 if told("other_learning_rate") else 1.0)
    steps = settings.steps or max(1, math.ceil(len(train_samples) / batch_size))
    asked = {**settings.model_dump(mode="json", exclude={"faults", "lies", "steps_per_s"}), **_asked_for(job)}
    job.result.put_json("config.json", {**asked, "dataset_uri": env.dataset_uri, "steps_per_epoch": steps})
    job.result.put_json("env.json", {"attempt": env.attempt, "versions": job.versions, "device": "cpu"})

    identity = CheckpointIdentity(
        env.job_id, env.attempt, hash_config(asked), source.classes, job.versions, model=model_of(job)
    )
    resumed = find_checkpoint(job, identity)
    if resumed is not None:
        walk, progress = load_state(resumed.folder)
        job.events.log("info", f"Resumed at epoch {progress.epoch + 1}, step {progress.step} from {resumed.uri}")
    else:
        walk, progress = Walk.start(time.time_ns() if told("unpredictable") else env.seed), Progress()
        if settings.pretrained:
            walk.weights = _pretrained_weights(job)
    store = CheckpointStore(job.storage, job.events, identity, env.output_uri, job.work_dir)
    if resumed is not None and resumed.uri.startswith(env.output_uri.rstrip("/") + "/"):
        store.adopt_pointers(resumed.pointers)
    faults = Faults(settings.faults, job, store)
    job.leave_if_stopped()

    reporter = Reporter(job, progress, epochs=epochs, steps=steps, batch_size=batch_size)
    last_save = time.monotonic()

    def save(*, best: bool = False, periodic: bool = False) -> None:
        nonlocal last_save
        folder = store.new_folder()
        save_state(folder, walk, progress, settings.checkpoint_bytes)
        metrics = progress.history[-1] if progress.history else {}
        store.submit(Snapshot(folder, progress.epoch, progress.update, metrics, best=best, periodic=periodic))
        last_save = time.monotonic()

    job.events.phase("training")
    while progress.epoch < epochs:
        order = epoch_order(env.seed, progress.epoch, len(train_samples))
        while progress.step < steps:
            faults.before_step(walk, progress)
            due = time.monotonic() + 1.0 / settings.steps_per_s
            batch = _batch(train_samples, order, progress.step, batch_size)
            loss = faults.loss(walk.step(batch, learning_rate))
            _note_loss(progress, loss)
            progress.step += 1
            progress.update += 1
            reporter.after_step(loss, learning_rate)
            # Sleeping in small pieces, so that a stop is heard at once.
            while (left := due - time.monotonic()) > 0 and not job.stop.stop_requested:
                time.sleep(min(left, 0.05))
            if job.stop.stop_requested:
                save(periodic=True)
                raise _stopped(job, store)
            if job.stop.take_checkpoint_request() or time.monotonic() - last_save >= env.checkpoint_every_s:
                save(periodic=True)
        progress.epoch, progress.step = progress.epoch + 1, 0
        values = {"train/loss": progress.loss_sum / steps, "train/lr": learning_rate}
        values |= measure(walk, val_samples, len(source.classes))
        for name, curve in settings.curves.items():
            values[name] = curve[min(progress.epoch, len(curve)) - 1] if curve else math.nan
        progress.loss_sum = 0.0
        is_best = _note_epoch(job, walk, progress, values)
        save(best=is_best)

    job.events.phase("uploading")
    store.finish(job.storage.patience_s * 2)
    return _finish(job, progress, source.classes)


def find_checkpoint(job: TrainerJob, identity: CheckpointIdentity) -> ResumedCheckpoint | None:
    """The checkpoint behind RESUME_URI. Raises BAD_CONFIG where a foreign address holds none."""
    uri = job.env.resume_uri
    if uri is None or told("start_over"):
        return None
    found = resume_checkpoint(job.storage, uri, job.work_dir / "resume", identity)
    if found is None and not uri.startswith(job.env.output_uri.rstrip("/") + "/"):
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"RESUME_URI: found no whole checkpoint at {uri}.")
    if found is None:
        # The attempt before this one was lost before its first checkpoint was up.
        job.events.warning("no_checkpoint", "There is no whole checkpoint of an earlier attempt; starting anew.")
    return found


def model_of(job: TrainerJob) -> dict[str, object]:
    """What a checkpoint says of its model, for evaluate, predict and export."""
    env = job.env
    return {"framework": env.framework, "model_name": env.model_name, "task_type": env.task_type}


class Reporter:
    """Progress and step metrics, at most one look every half second."""

    def __init__(self, job: TrainerJob, progress: Progress, *, epochs: int, steps: int, batch_size: int) -> None:
        self._job, self._progress = job, progress
        self._epochs, self._steps, self._batch_size = epochs, steps, batch_size
        self._began, self._first = time.monotonic(), progress.update
        self._next_at = 0.0

    def after_step(self, loss: float, learning_rate: float) -> None:
        """Publishes when it is time to."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _STEP_EVENT_S
        progress = self._progress
        done, total = progress.update, self._epochs * self._steps
        pace = (done - self._first) / max(now - self._began, 1e-9)
        self._job.events.publish(
            "progress",
            {
                "epoch": progress.epoch + 1,
                "epochs": self._epochs,
                "step": progress.step,
                "steps": self._steps,
                "pct": round(100.0 * done / total, 2),
                "eta_s": round((total - done) / pace, 1) if pace else None,
                "samples_per_s": round(pace * self._batch_size, 1),
            },
        )
        values = {"train/loss": loss, "train/lr": learning_rate}
        about = {"scope": "step", "split": "train", "epoch": progress.epoch + 1, "step": progress.update}
        self._job.events.publish("metrics", {**about, "values": values})


def _batch(samples: list[DatasetSample], order: list[int], step: int, size: int) -> list[DatasetSample]:
    start = step * size
    return [samples[order[position % len(order)]] for position in range(start, start + size)]


def _note_loss(progress: Progress, loss: float) -> None:
    """Sums the losses. Raises DIVERGED after ten steps without a finite one."""
    finite = math.isfinite(loss)
    progress.loss_sum += loss if finite else 0.0
    progress.non_finite_steps = 0 if finite else progress.non_finite_steps + 1
    if progress.non_finite_steps >= _MAX_NON_FINITE_STEPS:
        where = f"epoch {progress.epoch + 1}, step {progress.step + 1}"
        message = f"The loss was not a finite number for {_MAX_NON_FINITE_STEPS} steps in a row ({where})."
        raise TrainerFailure(FailureCode.DIVERGED, message)


def _note_epoch(job: TrainerJob, walk: Walk, progress: Progress, values: dict[str, float]) -> bool:
    """Publishes the epoch's metrics per split and remembers them. Returns whether it is the best so far."""
    for split in ("train", "val"):
        mine = {name: value for name, value in values.items() if name.startswith(f"{split}/")}
        about = {"scope": "epoch", "split": split, "epoch": progress.epoch, "step": progress.update}
        job.events.publish("metrics", {**about, "values": mine})
    progress.history.append({name: value if math.isfinite(value) else None for name, value in values.items()})
    top1 = values["val/top1"]
    if top1 <= progress.best_top1:
        return False
    progress.best_epoch, progress.best_top1, progress.best_weights = progress.epoch, top1, list(walk.weights)
    return True


def _finish(job: TrainerJob, progress: Progress, classes: list[str]) -> TrainerOutcome:
    """Artifacts, then RESULT.json, then (by the kit) the terminal event."""
    metrics = progress.history[progress.best_epoch - 1]
    upload_artifacts(job, progress, classes)
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def _stopped(job: TrainerJob, store: CheckpointStore) -> TrainingStopped:
    """Waits for the final checkpoint within the grace time. Raises STORAGE_FAILURE when it does not get there."""
    job.events.phase("cancelling")
    uri = store.finish(max(1.0, job.stop.grace_left_s() - _FAREWELL_S))
    return TrainingStopped(job.stop.reason, uri)


def _pretrained_weights(job: TrainerJob) -> list[float]:
    """The weights of PRETRAINED_URI. Raises MODEL_UNAVAILABLE when there are none, or they are something else."""
    from vision_trainer.storage import ObjectMissing

    uri = job.env.pretrained_uri
    if uri is None:
        message = (
            "config.pretrained: there are no weights; place some with `vp models add-weights`, or set it to false."
        )
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, message)
    path = job.work_dir / WEIGHTS
    try:
        job.storage.download(uri, path)
        return read_weights(path)
    except (ObjectMissing, ValueError) as error:
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"PRETRAINED_URI: {uri}: {error}.") from error


def _asked_for(job: TrainerJob) -> dict[str, object]:
    env = job.env
    return {
        "epochs": env.epochs,
        "batch_size": env.batch_size,
        "learning_rate": env.learning_rate,
        "seed": env.seed,
        "model": model_of(job),
    }
