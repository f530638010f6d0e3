"""What a training is going to do, decided once by rank 0 and told to every process."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
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

from .augmentation import PRESETS, Augmentation
from .captions import CaptionTokens
from .class_weights import balanced_weights
from .devices import choose_device
from .model_list import ModelSpec, family_of, find_model
from .models import model_input
from .pretrained import fetch_pretrained, pretrained_tokens
from .sampling import steps_per_epoch
from .schedule import learning_rate
from .settings import TrainSettings, check_for_task, identity_of_run
from .tasks import TASKS, TaskData
from .tasks.task import Task


@dataclass(frozen=True)
class TrainingPlan:
    """Plain values, a dataset on the local disk, no secrets: it goes through a pipe to the other processes.

    `batch_size` is that of all processes together. `resume_folder` holds a verified checkpoint, `pretrained_folder`
    published weights.
    """

    spec: ModelSpec
    task_type: str
    settings: TrainSettings
    reader: DatasetReader
    train_samples: list[DatasetSample]
    val_samples: list[DatasetSample]
    data: TaskData
    device: str
    world: int
    loader_threads: int
    epochs: int
    batch_size: int
    peak_lr: float
    seed: int
    resume_folder: Path | None
    pretrained_folder: Path | None
    meeting_place: Path

    @cached_property
    def task(self) -> Task:
        """The task for this dataset and model."""
        return TASKS[self.task_type](self.data)

    @property
    def update_examples(self) -> int:
        """Examples per update of the weights."""
        return self.batch_size * self.settings.grad_accumulation

    @cached_property
    def example_count(self) -> int:
        """Examples in one epoch: images, or for poses objects."""
        return len(self.task.examples(self.train_samples))

    @cached_property
    def steps(self) -> int:
        """Updates in one epoch."""
        return steps_per_epoch(self.example_count, self.update_examples, self.world)

    def rate_at(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        warmup = round(self.settings.warmup_epochs * self.steps)
        return learning_rate(update, self.epochs * self.steps, warmup, self.peak_lr, self.settings.min_lr_ratio)

    @property
    def augmentation(self) -> Augmentation:
        """The preset with the settings' own probability of a mirror image."""
        return replace(PRESETS[self.settings.augmentation], flip=self.settings.horizontal_flip)


def make_plan(
    job: TrainerJob, settings: TrainSettings, reader: DatasetReader, device: torch.device, *, pretrained: bool
) -> TrainingPlan:
    """The plan from the environment; `pretrained`: with published weights, fetched now.

    Raises TrainerFailure: DATASET_INVALID, MODEL_UNAVAILABLE or BAD_CONFIG (see the parts).
    """
    env = job.env
    asked = settings.num_workers if settings.num_workers is not None else env.num_workers
    # Asked for here as well, so that a GPU that is not there is known before any child waits for it.
    choose_device(env.device, env.num_processes)
    spec = find_model(env.model_name, env.task_type)
    check_for_task(settings, env.task_type)
    train_samples, val_samples = training_splits(reader)
    folder = fetch_pretrained(job, spec) if pretrained else None
    data = TaskData(
        classes=reader.classes,
        shape=model_input(spec, settings.image_size),
        keypoints=reader.manifest.keypoints,
        tokens=_tokens(spec, settings, train_samples, folder),
        two_stage=family_of(spec).two_stage,
        longest_caption=settings.max_words,
        label_smoothing=settings.label_smoothing,
        class_weights=balanced_weights(reader) if settings.class_weights == "balanced" else None,
    )
    plan = TrainingPlan(
        spec=spec,
        task_type=env.task_type,
        settings=settings,
        reader=reader,
        train_samples=train_samples,
        val_samples=val_samples,
        data=data,
        device=env.device,
        world=env.num_processes,
        loader_threads=loader_threads(device.type, env.num_processes, asked),
        epochs=env.epochs or 1,
        batch_size=env.batch_size or 1,
        peak_lr=env.learning_rate or 0.0,
        seed=env.seed,
        resume_folder=None,
        pretrained_folder=folder,
        meeting_place=job.work_dir / "meeting-place",
    )
    if plan.example_count < 2 * plan.world:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG if plan.world > 1 else FailureCode.DATASET_INVALID,
            f"There are {plan.example_count} things to learn from, and each of the {plan.world} processes "
            "(NUM_PROCESSES) needs two.",
        )
    return plan


def describe_plan(job: TrainerJob, plan: TrainingPlan, device: torch.device) -> None:
    """Uploads config.json (what was asked for, in effect) and env.json (what it runs on), and logs the first."""
    asked = identity_of_run(job.env, plan.settings)
    effective = {
        **asked,
        "batch_size": plan.batch_size,
        "effective_batch_size": plan.update_examples,
        "num_processes": plan.world,
        "dataset_uri": job.env.dataset_uri,
        "pretrained_uri": job.env.pretrained_uri,
        "input": plan.data.shape.as_dict(),
        "classes": plan.data.classes,
        "class_weights": plan.data.class_weights,
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
    shape = plan.data.shape
    job.events.log(
        "info",
        f"{plan.spec.name} at {shape.height} x {shape.width} px on {device} x {plan.world}: {plan.epochs} epochs of "
        f"{plan.steps} steps, {plan.update_examples} examples a step, learning rate {plan.peak_lr:g}, "
        f"seed {plan.seed}; {config}",
    )


def _tokens(
    spec: ModelSpec, settings: TrainSettings, samples: list[DatasetSample], pretrained: Path | None
) -> CaptionTokens | None:
    """The words of captions: the published ones with published weights, otherwise those of the training captions."""
    if spec.family != "blip":
        return None
    longest = spec.config["text_config"].get("max_position_embeddings", 512)
    if settings.max_words > longest:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"CONFIG_JSON.max_words: found {settings.max_words}, {spec.name} takes at most {longest}.",
        )
    published = pretrained_tokens(pretrained, spec) if pretrained else None
    return published or CaptionTokens.from_captions(c for sample in samples for c in sample.captions or ())
