"""What a training is going to do, decided once by rank 0 and told to every process."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from vision_trainer.contracts import DatasetSample
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader, training_splits
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.loader import loader_threads
from vision_trainer.run import TrainerJob

from .model import ModelInput, model_input
from .sampling import steps_per_epoch
from .schedule import learning_rate
from .settings import TimmSettings, identity_of_run


@dataclass(frozen=True)
class TrainingPlan:
    """Plain values, a dataset on the local disk, no secrets: it goes through a pipe to the other processes.

    `batch_size` is that of all processes together. `resume_folder` holds a verified checkpoint.
    """

    model_name: str
    settings: TimmSettings
    reader: DatasetReader
    train_samples: list[DatasetSample]
    val_samples: list[DatasetSample]
    shape: ModelInput
    device: str
    world: int
    loader_threads: int
    epochs: int
    batch_size: int
    peak_lr: float
    seed: int
    resume_folder: Path | None
    meeting_place: Path

    @property
    def classes(self) -> list[str]:
        """Class names in index order."""
        return self.reader.classes

    @property
    def update_images(self) -> int:
        """Images per update of the weights."""
        return self.batch_size * self.settings.grad_accumulation

    @cached_property
    def steps(self) -> int:
        """Updates in one epoch."""
        return steps_per_epoch(len(self.train_samples), self.update_images, self.world)

    def rate_at(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        warmup = round(self.settings.warmup_epochs * self.steps)
        return learning_rate(update, self.epochs * self.steps, warmup, self.peak_lr, self.settings.min_lr_ratio)


def make_plan(job: TrainerJob, settings: TimmSettings, reader: DatasetReader, device: torch.device) -> TrainingPlan:
    """The plan before a checkpoint and a batch size are looked for.

    Raises TrainerFailure: DATASET_INVALID, MODEL_UNAVAILABLE or BAD_CONFIG (see the parts).
    """
    env = job.env
    asked = settings.num_workers if settings.num_workers is not None else env.num_workers
    train_samples, val_samples = training_splits(reader)
    if len(train_samples) < 2 * env.num_processes:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"NUM_PROCESSES: found {env.num_processes}, but with {len(train_samples)} training images at most "
            f"{len(train_samples) // 2} processes have two each.",
        )
    return TrainingPlan(
        model_name=env.model_name or "",
        settings=settings,
        reader=reader,
        train_samples=train_samples,
        val_samples=val_samples,
        shape=model_input(env.model_name or "", settings, train_samples),
        device=env.device,
        world=env.num_processes,
        loader_threads=loader_threads(device.type, env.num_processes, asked),
        epochs=env.epochs or 1,
        batch_size=env.batch_size or 1,
        peak_lr=env.learning_rate or 0.0,
        seed=env.seed,
        resume_folder=None,
        meeting_place=job.work_dir / "meeting-place",
    )


def describe_plan(job: TrainerJob, plan: TrainingPlan, device: torch.device) -> None:
    """Uploads config.json (what was asked for, in effect) and env.json (what it runs on), and logs the first."""
    asked = identity_of_run(job.env, plan.settings)
    effective = {
        **asked,
        "batch_size": plan.batch_size,
        "effective_batch_size": plan.update_images,
        "num_processes": plan.world,
        "dataset_uri": job.env.dataset_uri,
        "pretrained_uri": job.env.pretrained_uri,
        "input": plan.shape.as_dict(),
        "classes": plan.classes,
    }
    environment: dict[str, Any] = {
        "attempt": job.env.attempt,
        "versions": job.versions,
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "cpus": available_cpus(),
        "processes": plan.world,
        "torch_threads": torch.get_num_threads(),
        "loader_threads": plan.loader_threads,
        "steps_per_epoch": plan.steps,
        "platform": platform.platform(),
    }
    job.result.put_json("config.json", effective)
    job.result.put_json("env.json", environment)
    config = ", ".join(f"{name}={value}" for name, value in sorted(asked["config"].items()))
    job.events.log(
        "info",
        f"{plan.model_name} at {plan.shape.size} px on {device} x {plan.world}: {plan.epochs} epochs of {plan.steps} "
        f"steps, {plan.update_images} images a step, learning rate {plan.peak_lr:g}, seed {plan.seed}; {config}",
    )
