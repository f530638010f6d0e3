# SPDX-License-Identifier: AGPL-3.0-only
"""From the environment to the job's work: settings, dataset and framework, the slow ones side by side."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob, TrainerOutcome

from . import offline
from .lazy_compiler import postpone_compiler
from .models import find_model
from .settings import EvaluateOptions, ExportOptions, PredictOptions, UltralyticsSettings, read_options


def start(job: TrainerJob) -> TrainerOutcome:
    """Does the job: train, evaluate, predict or export."""
    find_model(job.env.model_name, job.env.task_type)
    if job.env.job_kind == "train":
        return _train(job)
    config = job.env.config
    match job.env.job_kind:
        case "evaluate":
            evaluate_options = read_options(config, EvaluateOptions)
            load_framework(job.work_dir)
            from .evaluate_job import evaluate

            return evaluate(job, evaluate_options)
        case "predict":
            predict_options = read_options(config, PredictOptions)
            load_framework(job.work_dir)
            from .predict_job import predict

            return predict(job, predict_options)
        case _:
            export_options = read_options(config, ExportOptions)
            load_framework(job.work_dir)
            from .export_job import export

            return export(job, export_options)


def _train(job: TrainerJob) -> TrainerOutcome:
    """Fetches the dataset while torch and the framework load, then trains."""
    settings = read_options(job.env.config, UltralyticsSettings)
    if job.env.num_processes > 1:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"NUM_PROCESSES: found {job.env.num_processes}, expected 1: this trainer uses one GPU.",
        )
    # The loop and its framework load in a thread, so that a broken dataset or a signal is dealt with meanwhile.
    aside = ThreadPoolExecutor(1, thread_name_prefix="imports")
    loading = aside.submit(_load_training_loop, job.work_dir)
    aside.shutdown(wait=False)
    job.events.phase("downloading", 0.0)
    reader = open_dataset(
        job.storage,
        job.env.dataset_uri,
        job.cache_dir,
        splits=("train", "val", "test"),
        task_type=job.env.task_type,
    )
    job.events.phase("downloading", 100.0)
    train = loading.result()
    job.leave_if_stopped()
    return train(job, settings, reader)


def load_framework(work_dir: Path) -> None:
    """Imports torch and the framework, offline and inside of `work_dir`: seconds."""
    # What is decided here has to be decided before torch is loaded. Threads that spin long while they wait make
    # training ten times slower as soon as anything else wants a CPU; not spinning at all costs a fifth (measured).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    offline.prepare(work_dir)
    postpone_compiler()

    offline.tame(work_dir)


def _load_training_loop(
    work_dir: Path,
) -> Callable[[TrainerJob, UltralyticsSettings, DatasetReader], TrainerOutcome]:
    load_framework(work_dir)
    from .train import train

    return train
