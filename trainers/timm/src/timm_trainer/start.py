"""From the environment to the training loop: settings, dataset and framework, the slow ones side by side."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob, TrainerOutcome

from .lazy_compiler import postpone_compiler
from .settings import TimmSettings, read_settings

log = logging.getLogger(__name__)


def start(job: TrainerJob) -> TrainerOutcome:
    """Fetches the dataset while torch and timm load, then trains."""
    settings = read_settings(job.env.config)
    if job.env.task_type != "image_classification":
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"TASK_TYPE: found {job.env.task_type!r}, expected 'image_classification'."
        )
    # The loop and its framework load in a thread, so that a broken dataset or a signal is dealt with meanwhile.
    aside = ThreadPoolExecutor(1, thread_name_prefix="imports")
    loading = aside.submit(_load_training_loop, job.env.allow_network)
    aside.shutdown(wait=False)
    reader = _fetch_dataset(job)
    train = loading.result()
    job.leave_if_stopped()
    return train(job, settings, reader, _loader_threads(job, settings))


def _load_training_loop(
    allow_network: bool,
) -> Callable[[TrainerJob, TimmSettings, DatasetReader, int], TrainerOutcome]:
    """Imports torch and timm: seconds."""
    # What is decided here has to be decided before torch is loaded. Threads that spin long while they wait make
    # training ten times slower as soon as anything else wants a CPU; not spinning at all costs a fifth (measured).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if not allow_network:
        os.environ["HF_HUB_OFFLINE"] = "1"
    postpone_compiler()
    from .train import train

    return train


def _fetch_dataset(job: TrainerJob) -> DatasetReader:
    job.events.phase("downloading", 0.0)
    reader = open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, splits=("train", "val", "test"))
    job.events.phase("downloading", 100.0)
    return reader


def _loader_threads(job: TrainerJob, settings: TimmSettings) -> int:
    """One thread at least; on small machines no more, because torch wants the CPUs itself."""
    wanted = settings.num_workers if settings.num_workers is not None else job.env.num_workers
    return max(1, wanted if wanted is not None else min(8, available_cpus() // 2))
