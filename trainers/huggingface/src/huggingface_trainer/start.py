"""From the environment to the job's work: settings, dataset and framework, the slow ones side by side."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vision_trainer.allocator import keep_freed_memory
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.job_ranks import job_ranks
from vision_trainer.job_settings import read_settings
from vision_trainer.run import TrainerJob, TrainerOutcome

from .lazy_compiler import postpone_compiler
from .model_list import FAMILIES, find_model
from .settings import EvaluateSettings, ExportSettings, PredictSettings, TrainSettings, check_for_task

TASK_TYPES = tuple(dict.fromkeys(family.task_type for family in FAMILIES.values()))


def start(job: TrainerJob) -> TrainerOutcome:
    """Does the job: train, evaluate, predict or export."""
    if job.env.task_type not in TASK_TYPES:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"TASK_TYPE: found {job.env.task_type!r}, expected one of {', '.join(TASK_TYPES)}.",
        )
    if job.env.job_kind == "train":
        return _train(job)
    return _derive(job)


def _train(job: TrainerJob) -> TrainerOutcome:
    """Fetches the dataset while torch and transformers load, here and in the other processes, then trains."""
    settings = read_settings(TrainSettings, job.env.config)
    # Before anything is fetched: a wrong name costs nobody a download.
    find_model(job.env.model_name, job.env.task_type)
    check_for_task(settings, job.env.task_type)
    prepare_framework()
    with job_ranks(job, "huggingface_trainer.start:follower") as ranks:
        # The loop and its framework load in a thread, so that a broken dataset or a signal is dealt with meanwhile.
        loading = _aside(_load_training_loop)
        reader = _fetch_dataset(job, ("train", "val", "test"))
        train = loading()
        job.leave_if_stopped()
        return train(job, settings, reader, ranks)


def follower() -> Callable[[int, Any], None]:
    """The work of ranks 1 and above, in their own process."""
    prepare_framework()
    from .train import follow

    return follow


def _derive(job: TrainerJob) -> TrainerOutcome:
    """Works with what a training left behind (MODEL_URI)."""
    env = job.env
    match env.job_kind:
        case "evaluate":
            evaluate_settings = read_settings(EvaluateSettings, env.config)
            prepare_framework()
            from .evaluate_job import evaluate_model

            return evaluate_model(job, evaluate_settings)
        case "predict":
            predict_settings = read_settings(PredictSettings, env.config)
            prepare_framework()
            from .predict_job import predict

            return predict(job, predict_settings)
        case _:
            export_settings = read_settings(ExportSettings, env.config)
            prepare_framework()
            from .export_job import export

            return export(job, export_settings)


def prepare_framework() -> None:
    """Decides what has to be decided before torch is loaded. Child processes inherit the variables."""
    # Threads that spin long while they wait make training ten times slower as soon as anything else wants a CPU; not
    # spinning at all costs a fifth (measured).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    keep_freed_memory()
    # transformers looks for no compiled kernels on its hub, and keeps its progress bars to itself.
    os.environ.update({"USE_HUB_KERNELS": "NO", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"})
    postpone_compiler()


def _load_training_loop() -> Callable[..., TrainerOutcome]:
    """Imports torch and transformers: seconds."""
    from .train import train

    return train


def _aside(load: Callable[[], Callable[..., TrainerOutcome]]) -> Callable[[], Callable[..., TrainerOutcome]]:
    """Starts `load` in a thread; calling the result waits for it."""
    aside = ThreadPoolExecutor(1, thread_name_prefix="imports")
    loading = aside.submit(load)
    aside.shutdown(wait=False)
    return loading.result


def _fetch_dataset(job: TrainerJob, splits: tuple[str, ...]) -> DatasetReader:
    job.events.phase("downloading", 0.0)
    reader = open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, splits=splits, task_type=job.env.task_type)
    job.events.phase("downloading", 100.0)
    return reader
