"""The ranks of a job: however one of them ends, the job ends with one clear word and the right exit code."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .failures import AttemptReplaced, TrainerFailure, TrainingStopped
from .ranks import Ranks
from .run import TrainerJob

log = logging.getLogger(__name__)

# How long a process waits to hear whether another one's death was the cause of its own trouble.
_NEWS_OF_A_DEATH_S = 5.0
# NCCL never notices that a process is gone; after this long the job is ended from the side.
_DEATH_UNNOTICED_S = 15.0


@contextmanager
def job_ranks(job: TrainerJob, target: str) -> Iterator[Ranks]:
    """The other processes of a training (NUM_PROCESSES), while the block lasts; see Ranks for `target`.

    What the block raises because one of them died is raised as what that one died of. Where the block does not notice
    the death, the job is ended without it.
    """
    ranks = Ranks(job.env.num_processes, target, lambda failure: _end_from_the_side(job, failure))
    try:
        yield ranks
    except (TrainerFailure, TrainingStopped, AttemptReplaced):
        raise
    except Exception as error:
        failure = ranks.failure(_NEWS_OF_A_DEATH_S) if ranks.world > 1 else None
        if failure is not None:
            raise failure from error
        raise
    finally:
        ranks.close()


def _end_from_the_side(job: TrainerJob, failure: TrainerFailure) -> None:
    """A process of the training is dead. If the main thread does not notice, this thread ends the job."""
    log.error("%s", failure.message)
    time.sleep(_DEATH_UNNOTICED_S)
    data = {"code": str(failure.code), "message": failure.message, "retryable": failure.retryable}
    job.events.publish("failed", data)
    job.events.close(_NEWS_OF_A_DEATH_S)
    shutil.rmtree(job.work_dir, ignore_errors=True)
    os._exit(failure.exit_code)
