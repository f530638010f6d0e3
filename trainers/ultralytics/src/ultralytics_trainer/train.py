# SPDX-License-Identifier: AGPL-3.0-only
"""The training loop, to be read from top to bottom.

It stands in for the framework's `_do_train`, which keeps its place in local variables, writes half-precision pickles
and goes on to a final evaluation when it is told to stop.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from vision_trainer.checkpoints import CheckpointStore, Snapshot
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import TrainingStopped
from vision_trainer.resume import ResumedCheckpoint
from vision_trainer.run import TrainerJob, TrainerOutcome

from .artifacts import upload_artifacts
from .devices import framework_device
from .framework_trainers import TRAINERS, Setup
from .learner import Learner, gpu_probe
from .live_samples import LiveSamples
from .measures import PRIMARY, finite, validate
from .models import build_module, find_model
from .presets import framework_arguments, image_size
from .pretrained import load_pretrained
from .progress import Progress
from .reporting import StepReporter
from .resuming import describe_model, find_checkpoint, identity_of
from .sampling import derive_seed, seed_generators
from .settings import UltralyticsSettings, identity_of_run
from .training_state import SavedState, restore, save_state, weights_of
from .yolo_data import YoloData, write_data

# Kept back from the grace time for the last events and the process's end.
_FAREWELL_S = 3.0


class _ValidationStopped(Exception):
    """Raised by the validator's callback when a stop was asked for."""


def train(job: TrainerJob, settings: UltralyticsSettings, reader: DatasetReader) -> TrainerOutcome:
    """Trains the model of the job on the dataset: resumes if told to, validates every epoch, leaves the artifacts.

    Raises TrainerFailure (see failures.py) and TrainingStopped once the last checkpoint is up.
    """
    env = job.env
    device = framework_device(env.device)
    torch.set_num_threads(available_cpus())
    data = write_data(reader, env.task_type, job.work_dir / "dataset")
    model = find_model(env.model_name, env.task_type)
    size = image_size(settings, model, data.train)
    identity = identity_of(job, settings, reader, describe_model(job, reader, size))
    found, saved = find_checkpoint(job, settings, identity)
    trainer = _make_trainer(job, settings, reader, data, size, device, saved)
    learner = Learner(trainer, job.events, ema_decay=settings.ema_decay, clip_grad=settings.clip_grad)
    identity = replace(identity, model=describe_model(job, reader, size, trainer.args))
    store = CheckpointStore(job.storage, job.events, identity, env.output_uri, job.work_dir)
    progress, best = Progress(batch_size=trainer.batch_size), None
    if found is not None and saved is not None:
        restore(saved, learner)
        progress, best = saved.progress, saved.best
        _note_resume(job, store, found, progress)
    if trainer.device.type == "cuda":
        job.heartbeat.gpu_probe = gpu_probe(trainer.device)
    job.leave_if_stopped()

    epochs, accumulation = trainer.epochs, settings.grad_accumulation
    steps = -(-len(trainer.train_loader) // accumulation)
    _describe_run(job, settings, trainer, reader, size, steps)
    reporter = StepReporter(job.events, progress, trainer.device, epochs=epochs, steps=steps)
    live = LiveSamples(job, reader, data, size, device)
    last_save = time.monotonic()

    def save(*, is_best: bool = False, periodic: bool = False) -> None:
        """Takes a snapshot of everything and hands it to the store, which uploads it in the background."""
        nonlocal last_save
        reporter.read()
        progress.parts = learner.parts
        folder = store.new_folder()
        save_state(folder, learner, progress, best, best_is_current=is_best)
        newest = progress.history[-1] if progress.history else {}
        metrics = {name: value for name, value in newest.items() if name != "epoch"}
        store.submit(Snapshot(folder, progress.epoch, progress.update, metrics, best=is_best, periodic=periodic))
        last_save = time.monotonic()

    def stop_validation(validator: object) -> None:
        if job.stop.stop_requested:
            raise _ValidationStopped

    trainer.validator.callbacks["on_val_batch_end"].append(stop_validation)
    job.events.phase("training")
    while progress.epoch < epochs and not _ran_out_of_patience(settings, progress):
        epoch, epoch_started, images_before = progress.epoch, time.monotonic(), reporter.images
        trainer.epoch = epoch
        trainer._model_train()
        trainer.train_loader.start(epoch, progress.step * accumulation)
        lr = 0.0
        for group in _groups(trainer.train_loader, accumulation):
            lr = learner.set_rates(epoch, progress.update, steps)
            seed_generators(derive_seed(env.seed, "step", progress.update), device=True)
            losses, images = learner.update(group)
            reporter.note_step(losses, images)
            progress.step += 1
            progress.update += 1
            reporter.look_if_due(lr)
            if job.stop.stop_requested:
                save(periodic=True)
                raise _stopped(job, store)
            if job.stop.take_checkpoint_request() or time.monotonic() - last_save >= env.checkpoint_every_s:
                save(periodic=True)

        seconds = time.monotonic() - epoch_started
        try:
            figures = validate(trainer)
        except _ValidationStopped:
            # All steps of the epoch are done; a resume goes on with its evaluation.
            save(periodic=True)
            raise _stopped(job, store) from None
        train_values: dict[str, float | None] = {**reporter.end_epoch(), "train/lr": lr}
        train_values["perf/samples_per_s"] = (reporter.images - images_before) / max(seconds, 1e-9)
        learner.end_epoch()
        progress.epoch, progress.step = epoch + 1, 0
        score, loss = figures[PRIMARY[env.task_type]], figures.get("val/loss")
        is_best = progress.note_evaluation(score or 0.0, float("inf") if loss is None else loss)
        if is_best:
            best = weights_of(learner.evaluated_model)
        _note_epoch(job, progress, train_values, figures)
        save(is_best=is_best)
        live.publish(learner.evaluated_model, progress, last=progress.epoch == epochs)
        if job.stop.stop_requested and progress.epoch < epochs:
            raise _stopped(job, store)

    live.close()
    trainer.train_loader.close()
    return _finish(job, store, progress, best or {}, identity.model)


def _make_trainer(
    job: TrainerJob,
    settings: UltralyticsSettings,
    reader: DatasetReader,
    data: YoloData,
    size: int,
    device: str,
    saved: SavedState | None,
) -> Any:
    """The framework's trainer, prepared: network with its first weights, optimizer, loaders, validator."""
    env = job.env
    model = find_model(env.model_name, env.task_type)
    points = reader.manifest.keypoints

    def build() -> nn.Module:
        seed_generators(env.seed)
        network: nn.Module = build_module(model, len(reader.classes), len(points.names) if points else None)
        if settings.pretrained and saved is None:
            load_pretrained(job, network)
        return network

    setup = Setup(data, build, env.seed, settings.grad_accumulation, _loader_processes(job, settings))
    batch_size = saved.progress.batch_size if saved else env.batch_size or 1
    arguments = framework_arguments(
        env,
        settings,
        model,
        size=size,
        batch_size=batch_size,
        device=device,
        save_dir=job.work_dir / "run",
        samples=[*data.train, *data.val],
    )
    if saved is not None:
        arguments["batch"] = batch_size
    trainer: Any = TRAINERS[env.task_type](setup, arguments)
    trainer.prepare()
    # The framework names classes by folder in classification; people read the dataset's names.
    names = dict(enumerate(reader.classes))
    trainer.model.names = trainer.ema.ema.names = names
    if settings.auto_batch and saved is None:
        _say_batch(job, settings, trainer, device)
    return trainer


def _say_batch(job: TrainerJob, settings: UltralyticsSettings, trainer: Any, device: str) -> None:
    if device == "cpu":
        text = f"auto_batch: on a CPU the batch size stays as it was set, {trainer.batch_size}."
    else:
        effective = trainer.batch_size * settings.grad_accumulation
        text = f"auto_batch: the batch size is {trainer.batch_size}, effective {effective}."
    job.events.log("info", text)


def _groups(batches: Any, size: int) -> Iterator[list[dict[str, Any]]]:
    """Batches in groups of `size`; the last one holds what is left."""
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _loader_processes(job: TrainerJob, settings: UltralyticsSettings) -> int:
    wanted = settings.num_workers if settings.num_workers is not None else job.env.num_workers
    return wanted if wanted is not None else min(8, max(1, available_cpus() - 1))


def _finish(
    job: TrainerJob,
    store: CheckpointStore,
    progress: Progress,
    best: dict[str, Tensor],
    model: dict[str, Any],
) -> TrainerOutcome:
    """Checkpoints first, then the artifacts, RESULT.json last."""
    job.events.phase("uploading")
    store.finish(job.storage.patience_s * 2)
    row = progress.history[progress.best_epoch - 1]
    metrics = {name: value for name, value in row.items() if name != "epoch"}
    upload_artifacts(job, progress, best, model)
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def _stopped(job: TrainerJob, store: CheckpointStore) -> TrainingStopped:
    """Waits for the final checkpoint within the grace time. Raises STORAGE_FAILURE when it does not get there."""
    job.events.phase("cancelling")
    uri = store.finish(max(1.0, job.stop.grace_left_s() - _FAREWELL_S))
    return TrainingStopped(job.stop.reason, uri)


def _note_epoch(
    job: TrainerJob, progress: Progress, train_values: dict[str, float | None], figures: dict[str, float | None]
) -> None:
    for split, values in (("train", train_values), ("val", figures)):
        job.events.publish(
            "metrics",
            {"scope": "epoch", "split": split, "epoch": progress.epoch, "step": progress.update, "values": values},
        )
    row = {**train_values, **figures}
    cleaned = {name: finite(value) if value is not None else None for name, value in row.items()}
    progress.history.append({"epoch": progress.epoch, **cleaned})


def _note_resume(job: TrainerJob, store: CheckpointStore, found: ResumedCheckpoint, progress: Progress) -> None:
    if found.uri.startswith(job.env.output_uri.rstrip("/") + "/"):
        store.adopt_pointers(found.pointers)
    job.events.log(
        "info",
        f"Resumed at epoch {progress.epoch + 1}, step {progress.step} from {found.uri}: weights, averages, optimizer, "
        "generators and the place in the epoch, in full precision.",
    )


def _ran_out_of_patience(settings: UltralyticsSettings, progress: Progress) -> bool:
    return 0 < settings.early_stopping_patience <= progress.epochs_without_gain


def _describe_run(
    job: TrainerJob, settings: UltralyticsSettings, trainer: Any, reader: DatasetReader, size: int, steps: int
) -> None:
    """Uploads config.json (what was asked for, in effect) and env.json (what it runs on); logs the same."""
    asked = {
        **identity_of_run(job.env, settings),
        "dataset_uri": job.env.dataset_uri,
        "pretrained_uri": job.env.pretrained_uri,
        "image_size": size,
        "effective_batch_size": trainer.batch_size * settings.grad_accumulation,
        "classes": reader.classes,
    }
    job.result.put_json("config.json", asked)
    on_gpu = trainer.device.type == "cuda"
    environment = {
        "attempt": job.env.attempt,
        "versions": job.versions,
        "device": str(trainer.device),
        "gpu": torch.cuda.get_device_name(trainer.device) if on_gpu else None,
        "precision": str(trainer.args.amp) if trainer.amp else "fp32",
        "cpus": available_cpus(),
        "torch_threads": torch.get_num_threads(),
        "loader_processes": trainer.train_loader.num_workers,
        "steps_per_epoch": steps,
        "world_size": 1,
    }
    job.result.put_json("env.json", environment)
    # Read back from the optimizer, not from what it was asked for.
    groups = {group.get("param_group"): group for group in trainer.optimizer.param_groups}
    group = groups.get("muon") or groups["weight"]
    momentum = group["momentum"] if "momentum" in group else group["betas"][0]
    job.events.log(
        "info",
        f"Effective settings: {type(trainer.optimizer).__name__} lr {group['initial_lr']:g}, momentum {momentum:g}, "
        f"weight decay {group['weight_decay']:g}, batch {trainer.batch_size} x {settings.grad_accumulation}, "
        f"image size {size}, {steps} steps an epoch, {environment['precision']} on {environment['device']}",
    )
