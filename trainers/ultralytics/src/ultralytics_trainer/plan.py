# SPDX-License-Identifier: AGPL-3.0-only
"""What a training is going to do, decided once by rank 0 and told to every process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob

from .devices import framework_device
from .framework_trainers import TRAINERS, Setup
from .models import build_module, find_model
from .presets import framework_arguments, image_size
from .sampling import seed_generators
from .settings import UltralyticsSettings, identity_of_run
from .yolo_data import YoloData, write_data


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Plain values and a dataset on the local disk, no secrets: it goes through a pipe to the other processes.

    `arguments` are the framework's; their `batch` is that of all processes together. `loader_processes` is the number
    each process has. `resume_folder` holds a verified checkpoint.
    """

    model_name: str
    task_type: str
    settings: UltralyticsSettings
    data: YoloData
    classes: list[str]
    keypoints: int | None
    size: int
    arguments: dict[str, Any]
    device: str
    world: int
    loader_processes: int
    seed: int
    resume_folder: Path | None
    meeting_place: Path

    def with_batch(self, batch_size: int) -> TrainingPlan:
        """The same with another number of images a batch, over all processes."""
        return replace(self, arguments={**self.arguments, "batch": batch_size})


def make_plan(job: TrainerJob, settings: UltralyticsSettings, reader: DatasetReader) -> TrainingPlan:
    """The plan before a checkpoint is looked for. Raises BAD_CONFIG and DATASET_INVALID (see the parts)."""
    env = job.env
    device = framework_device(env.device, 0, env.num_processes)
    data = write_data(reader, env.task_type, job.work_dir / "dataset")
    if len(data.train) < 2 * env.num_processes:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"NUM_PROCESSES: found {env.num_processes}, but with {len(data.train)} training images at most "
            f"{len(data.train) // 2} processes have two each.",
        )
    model = find_model(env.model_name, env.task_type)
    size = image_size(settings, model, data.train)
    points = reader.manifest.keypoints
    arguments = framework_arguments(
        env,
        settings,
        model,
        size=size,
        batch_size=env.batch_size or 1,
        device=device,
        save_dir=job.work_dir / "run",
        samples=[*data.train, *data.val],
    )
    return TrainingPlan(
        model_name=env.model_name or "",
        task_type=env.task_type,
        settings=settings,
        data=data,
        classes=reader.classes,
        keypoints=len(points.names) if points else None,
        size=size,
        arguments=arguments,
        device=env.device,
        world=env.num_processes,
        loader_processes=max(1, _loader_processes(job, settings) // env.num_processes),
        seed=env.seed,
        resume_folder=None,
        meeting_place=job.work_dir / "meeting-place",
    )


def make_trainer(plan: TrainingPlan, rank: int, fill: Callable[[nn.Module], None]) -> Any:
    """The framework's trainer, prepared: network, optimizer, loaders, validator. `fill` gives it its first weights."""
    model = find_model(plan.model_name, plan.task_type)

    def build() -> nn.Module:
        seed_generators(plan.seed)
        network: nn.Module = build_module(model, len(plan.classes), plan.keypoints)
        fill(network)
        return network

    setup = Setup(
        plan.data,
        build,
        plan.seed,
        plan.settings.grad_accumulation,
        plan.loader_processes,
        rank=rank,
        ranks=plan.world,
    )
    own = {"device": framework_device(plan.device, rank, plan.world)}
    if rank > 0:
        own["save_dir"] = f"{plan.arguments['save_dir']}-{rank}"
    trainer: Any = TRAINERS[plan.task_type](setup, {**plan.arguments, **own})
    trainer.prepare()
    # The framework names classes by folder in classification; people read the dataset's names.
    trainer.model.names = trainer.ema.ema.names = dict(enumerate(plan.classes))
    return trainer


def use_threads(plan: TrainingPlan) -> None:
    """The CPUs of this job, divided among its processes."""
    torch.set_num_threads(max(1, available_cpus() // plan.world))


def describe_plan(job: TrainerJob, plan: TrainingPlan, trainer: Any, steps: int) -> None:
    """Uploads config.json (what was asked for, in effect) and env.json (what it runs on); logs the same.

    `steps` are the updates of an epoch.
    """
    settings = plan.settings
    asked = {
        **identity_of_run(job.env, settings),
        "dataset_uri": job.env.dataset_uri,
        "pretrained_uri": job.env.pretrained_uri,
        "image_size": plan.size,
        "effective_batch_size": trainer.batch_size * settings.grad_accumulation,
        "num_processes": plan.world,
        "classes": plan.classes,
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
        "world_size": plan.world,
    }
    job.result.put_json("env.json", environment)
    # Read back from the optimizer, not from what it was asked for.
    groups = {group.get("param_group"): group for group in trainer.optimizer.param_groups}
    group = groups.get("muon") or groups["weight"]
    momentum = group["momentum"] if "momentum" in group else group["betas"][0]
    job.events.log(
        "info",
        f"Effective settings: {type(trainer.optimizer).__name__} lr {group['initial_lr']:g}, momentum {momentum:g}, "
        f"weight decay {group['weight_decay']:g}, batch {trainer.batch_size} x {settings.grad_accumulation}, image "
        f"size {plan.size}, {steps} steps an epoch, {environment['precision']} on {environment['device']} x "
        f"{plan.world}",
    )


def _loader_processes(job: TrainerJob, settings: UltralyticsSettings) -> int:
    wanted = settings.num_workers if settings.num_workers is not None else job.env.num_workers
    return wanted if wanted is not None else min(8, max(1, available_cpus() - 1))
