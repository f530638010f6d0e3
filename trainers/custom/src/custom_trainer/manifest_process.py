"""How a command of the repository lives: its needs, its limits, how it is stopped, how its end is judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from vision_trainer.failures import FailureCode

from .manifest_part import Part, Pattern, Template


class Resources(Part):
    """What the repository needs of the machine. `cpu`: whether it trains without a GPU at all.

    `network`: whether its commands need the network; they get it only if the job allows it (ALLOW_NETWORK) besides.
    """

    cpu: bool = True
    # Whether train and resume start ${num_processes} processes that train together, and where.
    processes: Literal["one", "on_gpus", "anywhere"] = "one"
    network: bool = False
    min_gpu_mb: Annotated[int, Field(ge=0)] = 0
    memory_mb: Annotated[int, Field(ge=1)] = 2048


class Limits(Part):
    """`silence_s`: no output and no growing log for so long means it hangs. `progress_s`: when to warn of no progress.

    `prepare_s`, `derived_s`: how long prepare, and evaluate, predict or export, may take.
    """

    silence_s: Annotated[float, Field(gt=0, le=86_400)] = 1800
    progress_s: Annotated[float, Field(gt=0, le=86_400)] = 180
    prepare_s: Annotated[float, Field(gt=0, le=86_400)] = 3600
    derived_s: Annotated[float, Field(gt=0, le=86_400)] = 7200


class Signals(Part):
    """How the repository is asked to stop. After `grace_s` (or the job's own grace, if shorter) it is killed.

    `checkpoint`: the signal that makes it save now, where there is one (SIGUSR1 of the job is passed on as this).
    """

    stop: Literal["SIGTERM", "SIGINT", "SIGKILL"] = "SIGTERM"
    grace_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    checkpoint: Literal["SIGUSR1", "SIGUSR2", "SIGHUP"] | None = None


class Complete(Part):
    """What must be true besides exit code 0: a file that exists, a line that was printed."""

    file: Template | None = None
    pattern: Pattern | None = None


class ErrorRule(Part):
    """A line that tells why it failed; the last one that fits decides. Without one a failure is FRAMEWORK_ERROR.

    `stop`: end the repository as soon as the line appears, and fail.
    """

    pattern: Pattern
    code: FailureCode
    message: Annotated[str, StringConstraints(max_length=500)] = ""
    stop: bool = False
