"""From the environment to the job's work: settings, dataset and framework, the slow ones side by side."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from vision_trainer.allocator import keep_freed_memory
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.job_ranks import job_ranks
from vision_trainer.job_settings import read_settings
from vision_trainer.run import TrainerJob, TrainerOutcome

from .job_options import EvaluateOptions, ExportOptions, PredictOptions
from .lazy_compiler import postpone_compiler
from .settings import TimmSettings

if TYPE_CHECKING:
    from .plan import TrainingPlan

TASK = "image_classification"


def start(job: TrainerJob) -> TrainerOutcome:
    """Does the job: train, evaluate, predict or export."""
    if job.env.task_type != TASK:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"TASK_TYPE: found {job.env.task_type!r}, expected {TASK!r}.")
    if job.env.job_kind == "train":
        return _train(job)
    return _derive(job)


def _train(job: TrainerJob) -> TrainerOutcome:
    """Fetches the dataset while torch and timm load, here and in the other processes, then trains."""
    settings = read_settings(TimmSettings, job.env.config)
    prepare_framework(job.env.allow_network)
    with job_ranks(job, "timm_trainer.start:follower") as ranks:
        # The loop and its framework load in a thread, so that a broken dataset or a signal is dealt with meanwhile.
        loading = _aside(_load_training_loop)
        reader = _fetch_dataset(job, ("train", "val", "test"))
        train = loading()
        job.leave_if_stopped()
        return train(job, settings, reader, ranks)


def follower() -> Callable[[int, TrainingPlan], None]:
    """The work of ranks 1 and above, in their own process."""
    postpone_compiler()
    from .train import follow

    return follow


def _derive(job: TrainerJob) -> TrainerOutcome:
    """Works with what a training left behind (MODEL_URI)."""
    config = job.env.config
    match job.env.job_kind:
        case "evaluate":
            evaluate_options = read_settings(EvaluateOptions, config)
            prepare_framework(job.env.allow_network)
            from .evaluate_job import evaluate_model

            return evaluate_model(job, evaluate_options)
        case "predict":
            predict_options = read_settings(PredictOptions, config)
            prepare_framework(job.env.allow_network)
            from .predict_job import predict

            return predict(job, predict_options)
        case _:
            export_options = read_settings(ExportOptions, config)
            # The exporter is part of torch's compiler: here it is wanted, with its cache in the job's own folder.
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(job.work_dir / "inductor")
            prepare_framework(job.env.allow_network, compiler=True)
            from .export_job import export

            return export(job, export_options)


def prepare_framework(allow_network: bool, *, compiler: bool = False) -> None:
    """Decides what has to be decided before torch is loaded. Child processes inherit the variables."""
    # Threads that spin long while they wait make training ten times slower as soon as anything else wants a CPU; not
    # spinning at all costs a fifth (measured).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    keep_freed_memory()
    # onnxruntime 1.29 and later report the model's name and hashes to its maker unless told not to.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    if not allow_network:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if not compiler:
        postpone_compiler()


def _load_training_loop() -> Callable[..., TrainerOutcome]:
    """Imports torch and timm: seconds."""
    postpone_compiler()
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
    reader = open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, splits=splits, task_type=TASK)
    job.events.phase("downloading", 100.0)
    return reader
