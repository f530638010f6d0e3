"""MODEL_URI: the trained model that an evaluate, predict or export job works with."""

from __future__ import annotations

from pathlib import Path

from .failures import FailureCode, TrainerFailure
from .resume import FolderCheck, ResumedCheckpoint, check_model, whole_checkpoints
from .run import TrainerJob


def open_model(
    job: TrainerJob, into: Path | None = None, *, check: FolderCheck = lambda folder: None
) -> ResumedCheckpoint:
    """The checkpoint behind MODEL_URI (pointer file, folder, or `checkpoints/` prefix), verified, on the local disk.

    `manifest.model` and `manifest.classes` say what to build; `into` is a folder of our own by default; `check` may
    refuse a folder by raising CheckpointTorn. Raises TrainerFailure: BAD_CONFIG for a checkpoint of another framework,
    model or task, or one that does not say what it is; MODEL_UNAVAILABLE when there is no whole one; STORAGE_FAILURE.
    """
    env = job.env
    uri = env.model_uri
    if uri is None:
        raise TrainerFailure(FailureCode.BAD_CONFIG, "MODEL_URI: found nothing, expected a training's checkpoint.")
    expected = {"framework": env.framework, "model_name": env.model_name, "task_type": env.task_type}
    for found in whole_checkpoints(job.storage, uri, into or job.work_dir / "model", check):
        if found.manifest.model is None:
            raise TrainerFailure(
                FailureCode.BAD_CONFIG,
                f"MODEL_URI: found a checkpoint that does not say which model it is ({found.uri}), expected one made "
                "by this version of the platform. Resume its training once to write it anew.",
            )
        check_model("MODEL_URI", found.uri, found.manifest, expected)
        return found
    raise TrainerFailure(
        FailureCode.MODEL_UNAVAILABLE, f"MODEL_URI: there is no whole checkpoint at {uri}. Choose another training."
    )
