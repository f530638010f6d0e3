# SPDX-License-Identifier: AGPL-3.0-only
"""What a checkpoint has to agree with, and how the one to go on from is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vision_trainer.checkpoints import CheckpointIdentity, hash_config
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.resume import ResumedCheckpoint, resume_checkpoint
from vision_trainer.run import TrainerJob

from .settings import UltralyticsSettings, identity_of_run
from .training_state import SavedState, read_state

# What decides the figures of a validation besides the weights.
VALIDATION_ARGUMENTS = ("batch", "max_det", "iou", "amp")


def describe_model(job: TrainerJob, reader: DatasetReader, size: int, arguments: Any = None) -> dict[str, Any]:
    """What builds the model again and validates it as in training: goes into every checkpoint's manifest.

    `arguments` are the framework's, in effect.
    """
    points = reader.manifest.keypoints
    return {
        "framework": job.env.framework,
        "model_name": job.env.model_name,
        "task_type": job.env.task_type,
        "image_size": size,
        "classes": reader.classes,
        "keypoints": points.model_dump(mode="json") if points is not None else None,
        **(_validation_arguments(arguments, job.env.num_processes) if arguments is not None else {}),
    }


def _validation_arguments(arguments: Any, processes: int) -> dict[str, Any]:
    """As one process validated: with the batch of one."""
    told = {name: getattr(arguments, name) for name in VALIDATION_ARGUMENTS}
    return {**told, "batch": max(1, told["batch"] // processes)}


def identity_of(
    job: TrainerJob, settings: UltralyticsSettings, reader: DatasetReader, model: dict[str, Any]
) -> CheckpointIdentity:
    """Who writes this job's checkpoints, and with which settings."""
    config_hash = hash_config(identity_of_run(job.env, settings))
    return CheckpointIdentity(job.env.job_id, job.env.attempt, config_hash, reader.classes, job.versions, model)


def find_checkpoint(
    job: TrainerJob, settings: UltralyticsSettings, identity: CheckpointIdentity
) -> tuple[ResumedCheckpoint, SavedState] | tuple[None, None]:
    """The checkpoint behind RESUME_URI and what it holds, or nothing where there is none to go on from.

    Raises BAD_CONFIG for one of another run, MODEL_UNAVAILABLE where another job's was named and none is whole.
    """
    uri = job.env.resume_uri
    if uri is None:
        return None, None
    states: dict[str, SavedState] = {}

    def look(folder: Path) -> None:
        states["newest"] = read_state(folder)

    found = resume_checkpoint(
        job.storage,
        uri,
        job.work_dir / "resume",
        identity,
        allow_other_config=settings.resume_with_other_config,
        check=look,
    )
    if found is not None:
        return found, states["newest"]
    if not uri.startswith(job.env.output_uri.rstrip("/") + "/"):
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"RESUME_URI: found no whole checkpoint at {uri}.")
    # The attempt before this one was lost before its first checkpoint was up.
    job.events.warning(
        "no_checkpoint", "There is no whole checkpoint of an earlier attempt; starting from the beginning."
    )
    return None, None
