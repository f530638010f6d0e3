# SPDX-License-Identifier: AGPL-3.0-only
"""From the environment to the job's work: settings, dataset and framework, the slow ones side by side."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from vision_trainer.allocator import keep_freed_memory
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.job_ranks import job_ranks
from vision_trainer.job_settings import read_settings
from vision_trainer.ranks import Ranks
from vision_trainer.run import TrainerJob, TrainerOutcome

from . import offline
from .lazy_compiler import postpone_compiler
from .models import find_model
from .settings import EvaluateOptions, ExportOptions, PredictOptions, UltralyticsSettings

if TYPE_CHECKING:
    from .plan import TrainingPlan


def start(job: TrainerJob) -> TrainerOutcome:
    """Does the job: train, evaluate, predict or export."""
    find_model(job.env.model_name, job.env.task_type)
    if job.env.job_kind == "train":
        return _train(job)
    config = job.env.config
    match job.env.job_kind:
        case "evaluate":
            evaluate_options = read_settings(EvaluateOptions, config)
            load_framework(job.work_dir)
            from .evaluate_job import evaluate

            return evaluate(job, evaluate_options)
        case "predict":
            predict_options = read_settings(PredictOptions, config)
            load_framework(job.work_dir)
            from .predict_job import predict

            return predict(job, predict_options)
        case _:
            export_options = read_settings(ExportOptions, config)
            load_framework(job.work_dir)
            from .export_job import export

            return export(job, export_options)


def _train(job: TrainerJob) -> TrainerOutcome:
    """Fetches the dataset while torch and the framework load, here and in the other processes, then trains."""
    settings = read_settings(UltralyticsSettings, job.env.config)
    # The other processes inherit the variables.
    _set_variables(job.work_dir)
    with job_ranks(job, "ultralytics_trainer.start:follower") as ranks:
        # The loop and its framework load in a thread, so that a broken dataset or a signal is dealt with meanwhile.
        aside = ThreadPoolExecutor(1, thread_name_prefix="imports")
        loading = aside.submit(_load_training_loop, job.work_dir)
        aside.shutdown(wait=False)
        reader = _fetch_dataset(job)
        train = loading.result()
        job.leave_if_stopped()
        return train(job, settings, reader, ranks)


def follower() -> Callable[[int, TrainingPlan], None]:
    """The work of ranks 1 and above, in their own process, with a folder of its own for the framework's settings."""
    beside = Path(os.environ["YOLO_CONFIG_DIR"]).parent
    load_framework(beside / f"process-{os.getpid()}")
    from .train import follow

    return follow


def _fetch_dataset(job: TrainerJob) -> DatasetReader:
    job.events.phase("downloading", 0.0)
    reader = open_dataset(
        job.storage,
        job.env.dataset_uri,
        job.cache_dir,
        splits=("train", "val", "test"),
        task_type=job.env.task_type,
    )
    job.events.phase("downloading", 100.0)
    return reader


def load_framework(work_dir: Path) -> None:
    """Imports torch and the framework, offline and inside of `work_dir`: seconds."""
    _set_variables(work_dir)
    postpone_compiler()

    offline.tame(work_dir)


def _set_variables(work_dir: Path) -> None:
    # What is decided here has to be decided before torch is loaded. Threads that spin long while they wait make
    # training ten times slower as soon as anything else wants a CPU; not spinning at all costs a fifth (measured).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    keep_freed_memory()
    offline.prepare(work_dir)


def _load_training_loop(
    work_dir: Path,
) -> Callable[[TrainerJob, UltralyticsSettings, DatasetReader, Ranks], TrainerOutcome]:
    load_framework(work_dir)
    from .train import train

    return train
