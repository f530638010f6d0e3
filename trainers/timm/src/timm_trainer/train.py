"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import logging
import math
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor
from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot, hash_config
from vision_trainer.contracts import DatasetSample
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader
from vision_trainer.environment import TrainerEnvironment
from vision_trainer.failures import FailureCode, TrainerFailure, TrainingStopped
from vision_trainer.resume import ResumedCheckpoint, resume_checkpoint
from vision_trainer.run import TrainerJob, TrainerOutcome

from .artifacts import upload_artifacts
from .evaluation import evaluate
from .images import MEMORY_BUDGET_BYTES, PRESETS, Augmentation, ImageSource
from .learner import Learner, gpu_probe
from .loader import EvaluationBatches, TrainingBatches, prefetch
from .model import ModelInput, build_model, choose_device, model_input
from .progress import Progress
from .reporting import StepReporter
from .sampling import batches, steps_per_epoch
from .schedule import learning_rate
from .settings import TimmSettings, identity_of_run
from .training_state import load_state, save_state, seed_everything, weights_of

log = logging.getLogger(__name__)

# Kept back from the grace time for the last events and the process's end.
_FAREWELL_S = 3.0


def train(job: TrainerJob, settings: TimmSettings, reader: DatasetReader, threads: int) -> TrainerOutcome:
    """Trains the model of the job on the dataset: resumes if told to, validates every epoch, leaves the artifacts.

    Raises TrainerFailure (see failures.py) and TrainingStopped once the last checkpoint is up.
    """
    env = job.env
    epochs, batch_size, peak_lr = env.epochs or 1, env.batch_size or 1, env.learning_rate or 0.0
    torch.set_num_threads(available_cpus())
    seed_everything(env.seed)
    device = choose_device(env.device)
    if device.type == "cuda":
        job.heartbeat.gpu_probe = gpu_probe(device)

    train_samples, val_samples = _splits(reader)
    classes = reader.classes
    shape = model_input(env.model_name or "", settings, train_samples)
    update_images = batch_size * settings.grad_accumulation
    steps = steps_per_epoch(len(train_samples), update_images)
    _describe_run(job, settings, shape, classes, device, threads, steps)

    identity = CheckpointIdentity(
        env.job_id, env.attempt, hash_config(identity_of_run(env, settings)), classes, job.versions
    )
    resumed = _find_checkpoint(job, settings, identity)
    model = build_model(job, settings, shape.size, len(classes), resuming=resumed is not None)
    learner = Learner(model, settings, shape, device, peak_lr, job.events)
    store = CheckpointStore(job.storage, job.events, identity, env.output_uri, job.work_dir)
    progress, best = Progress(), None
    if resumed is not None:
        progress, best = load_state(resumed.folder, learner)
        if resumed.uri.startswith(env.output_uri.rstrip("/") + "/"):
            store.adopt_pointers(resumed.pointers)
        job.events.log("info", f"Resumed at epoch {progress.epoch + 1}, step {progress.step} from {resumed.uri}")
    job.leave_if_stopped()

    pin = device.type == "cuda"
    train_batches = TrainingBatches(
        ImageSource(reader, train_samples), shape.size, _augmentation(settings), env.seed, pin=pin
    )
    val_batches = EvaluationBatches(
        ImageSource(reader, val_samples),
        shape.size,
        max(batch_size, 64),
        pin=pin,
        keep=len(val_samples) * shape.size**2 * 3 <= MEMORY_BUDGET_BYTES,
    )
    reporter = StepReporter(job.events, progress, device, epochs=epochs, steps=steps)
    total, warmup = epochs * steps, round(settings.warmup_epochs * steps)
    rate_at = partial(learning_rate, total=total, warmup=warmup, peak=peak_lr, min_ratio=settings.min_lr_ratio)
    last_save = time.monotonic()

    def save(*, is_best: bool = False, periodic: bool = False) -> None:
        """Takes a snapshot of everything and hands it to the store, which uploads it in the background."""
        nonlocal last_save
        reporter.read()
        folder = store.new_folder()
        save_state(folder, learner, progress, best, best_is_current=is_best)
        newest = progress.history[-1] if progress.history else {}
        metrics = {name: value for name, value in newest.items() if name != "epoch"}
        store.submit(Snapshot(folder, progress.epoch, progress.update, metrics, best=is_best, periodic=periodic))
        last_save = time.monotonic()

    job.events.phase("training")
    with ThreadPoolExecutor(threads, thread_name_prefix="loader") as pool:
        while progress.epoch < epochs and not _ran_out_of_patience(settings, progress):
            epoch, epoch_started, images_before = progress.epoch, time.monotonic(), progress.step * update_images
            index_lists = batches(env.seed, epoch, len(train_samples), update_images, progress.step)
            make = partial(train_batches.make, epoch)
            for images, labels in prefetch(make, index_lists, pool, ahead=threads + 1):
                lr = rate_at(progress.update)
                loss = learner.update(images, labels, lr, progress.update)
                reporter.note_step(loss, len(labels))
                progress.step += 1
                progress.update += 1
                reporter.look_if_due(lr)
                if job.stop.stop_requested:
                    save(periodic=True)
                    raise _stopped(job, store)
                if job.stop.take_checkpoint_request() or time.monotonic() - last_save >= env.checkpoint_every_s:
                    save(periodic=True)

            seconds = time.monotonic() - epoch_started
            result = evaluate(
                learner.evaluated_model,
                val_batches(pool, threads + 1),
                len(classes),
                learner.normalise,
                learner.precision,
                device,
                lambda: job.stop.stop_requested,
            )
            if result is None:
                # All steps of the epoch are done; a resume goes on with its evaluation.
                save(periodic=True)
                raise _stopped(job, store)
            train_loss = reporter.end_epoch()
            progress.epoch, progress.step = epoch + 1, 0
            is_best = progress.note_evaluation(result.top1, result.loss, result.confusion)
            if is_best:
                best = weights_of(learner.evaluated_model)
            train_values = {
                "train/loss": train_loss,
                "train/lr": rate_at(progress.update - 1),
                "perf/samples_per_s": (len(train_samples) - images_before) / max(seconds, 1e-9),
            }
            _note_epoch(job, progress, train_values, result.metrics)
            save(is_best=is_best)
            if job.stop.stop_requested and progress.epoch < epochs:
                raise _stopped(job, store)

    return _finish(job, store, progress, best, classes, shape)


def _finish(
    job: TrainerJob,
    store: CheckpointStore,
    progress: Progress,
    best: dict[str, Tensor] | None,
    classes: list[str],
    shape: ModelInput,
) -> TrainerOutcome:
    """Checkpoints first, then the artifacts, RESULT.json last."""
    job.events.phase("uploading")
    store.finish(job.storage.patience_s * 2)
    row = progress.history[progress.best_epoch - 1]
    metrics = {name: value for name, value in row.items() if name != "epoch"}
    upload_artifacts(job, progress, best or {}, classes, shape)
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def _stopped(job: TrainerJob, store: CheckpointStore) -> TrainingStopped:
    """Waits for the final checkpoint within the grace time. Raises STORAGE_FAILURE when it does not get there."""
    job.events.phase("cancelling")
    uri = store.finish(max(1.0, job.stop.grace_left_s() - _FAREWELL_S))
    return TrainingStopped(job.stop.reason, uri)


def _note_epoch(
    job: TrainerJob, progress: Progress, train_values: dict[str, float], val_values: dict[str, float | None]
) -> None:
    for split, values in (("train", train_values), ("val", val_values)):
        job.events.publish(
            "metrics",
            {"scope": "epoch", "split": split, "epoch": progress.epoch, "step": progress.update, "values": values},
        )
    row = {**train_values, **val_values}
    progress.history.append({"epoch": progress.epoch, **{name: _finite(value) for name, value in row.items()}})


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _splits(reader: DatasetReader) -> tuple[list[DatasetSample], list[DatasetSample]]:
    """(training samples, validation samples). Raises DATASET_INVALID where one cannot train with them."""
    train_samples = reader.split("train")
    val_samples = reader.split("val") or reader.split("test")
    if len(train_samples) < 2:
        raise TrainerFailure(FailureCode.DATASET_INVALID, "The dataset has fewer than two training images.")
    if not val_samples:
        raise TrainerFailure(FailureCode.DATASET_INVALID, "The dataset has neither a val nor a test split.")
    classes = len(reader.classes)
    for sample in (*train_samples, *val_samples):
        if sample.label is None or sample.label >= classes:
            raise TrainerFailure(
                FailureCode.DATASET_INVALID,
                f"{sample.member} has label {sample.label}, but the dataset has {classes} classes.",
            )
    return train_samples, val_samples


def _augmentation(settings: TimmSettings) -> Augmentation:
    preset = PRESETS[settings.augmentation]
    low = preset.scale[0] if settings.crop_scale_min is None else settings.crop_scale_min
    return Augmentation((low, preset.scale[1]), preset.ratio, settings.horizontal_flip, preset.colour)


def _find_checkpoint(job: TrainerJob, settings: TimmSettings, identity: CheckpointIdentity) -> ResumedCheckpoint | None:
    uri = job.env.resume_uri
    if uri is None:
        return None
    found = resume_checkpoint(
        job.storage, uri, job.work_dir / "resume", identity, allow_other_config=settings.resume_with_other_config
    )
    if found is None and not uri.startswith(job.env.output_uri.rstrip("/") + "/"):
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"RESUME_URI: found no whole checkpoint at {uri}.")
    if found is None:
        # The attempt before this one was lost before its first checkpoint was up.
        job.events.warning(
            "no_checkpoint", "There is no whole checkpoint of an earlier attempt; starting from the beginning."
        )
    return found


def _ran_out_of_patience(settings: TimmSettings, progress: Progress) -> bool:
    return 0 < settings.early_stopping_patience <= progress.epochs_without_gain


def _describe_run(
    job: TrainerJob,
    settings: TimmSettings,
    shape: ModelInput,
    classes: list[str],
    device: torch.device,
    threads: int,
    steps: int,
) -> None:
    """Uploads config.json (what was asked for, in effect) and env.json (what it runs on)."""
    job.result.put_json("config.json", {**_asked_for(job.env, settings), "input": _input(shape), "classes": classes})
    environment = {
        "attempt": job.env.attempt,
        "versions": job.versions,
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "cpus": available_cpus(),
        "torch_threads": torch.get_num_threads(),
        "loader_threads": threads,
        "steps_per_epoch": steps,
        "platform": platform.platform(),
    }
    job.result.put_json("env.json", environment)
    log.info("training on %s: %s", device, environment)


def _asked_for(env: TrainerEnvironment, settings: TimmSettings) -> dict[str, object]:
    return {**identity_of_run(env, settings), "dataset_uri": env.dataset_uri, "pretrained_uri": env.pretrained_uri}


def _input(shape: ModelInput) -> dict[str, object]:
    return {"size": shape.size, "mean": shape.mean, "std": shape.std}
