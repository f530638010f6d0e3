"""The ways a trainer ends badly, and the exit code of each (contract.md, "Exit codes")."""

from __future__ import annotations

from enum import StrEnum


class FailureCode(StrEnum):
    """What went wrong, in the words the platform uses everywhere."""

    BAD_CONFIG = "BAD_CONFIG"
    DATASET_INVALID = "DATASET_INVALID"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    STORAGE_FAILURE = "STORAGE_FAILURE"
    DIVERGED = "DIVERGED"
    GPU_OUT_OF_MEMORY = "GPU_OUT_OF_MEMORY"
    FRAMEWORK_ERROR = "FRAMEWORK_ERROR"
    TRAINER_BUG = "TRAINER_BUG"


class StopReason(StrEnum):
    """Why a healthy trainer was asked to end early."""

    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    TIMEOUT = "timeout"


EXIT_SUCCEEDED = 0

FAILURE_EXIT_CODES: dict[FailureCode, int] = {
    FailureCode.BAD_CONFIG: 2,
    FailureCode.DATASET_INVALID: 3,
    FailureCode.MODEL_UNAVAILABLE: 4,
    FailureCode.STORAGE_FAILURE: 5,
    FailureCode.DIVERGED: 10,
    FailureCode.GPU_OUT_OF_MEMORY: 11,
    FailureCode.FRAMEWORK_ERROR: 12,
    FailureCode.TRAINER_BUG: 70,
}

STOP_EXIT_CODES: dict[StopReason, int] = {
    StopReason.CANCELLED: 20,
    StopReason.PREEMPTED: 21,
    StopReason.TIMEOUT: 22,
}

# Only trouble outside the job (a store that is down) may go away by itself; everything else would fail again.
_RETRYABLE = frozenset({FailureCode.STORAGE_FAILURE})


class TrainerFailure(Exception):
    """A failure a person can act on. `message` is one plain sentence without secrets.

    `retryable` defaults to what the code usually means (only STORAGE_FAILURE is worth another try).
    """

    def __init__(self, code: FailureCode, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = code in _RETRYABLE if retryable is None else retryable

    @property
    def exit_code(self) -> int:
        """The process exit code that belongs to this failure."""
        return FAILURE_EXIT_CODES[self.code]


class TrainingStopped(Exception):
    """Raised by a trainer once it stopped as asked and its last checkpoint is uploaded.

    `resume_uri` is the s3 URI to resume from, or None when nothing could be saved yet.
    """

    def __init__(self, reason: StopReason, resume_uri: str | None) -> None:
        super().__init__(f"stopped: {reason}")
        self.reason = reason
        self.resume_uri = resume_uri


class AttemptReplaced(Exception):
    """The platform answered 409: a newer attempt owns the job. Nothing is saved, nothing is reported."""
