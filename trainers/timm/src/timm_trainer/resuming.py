"""Finds the checkpoint that RESUME_URI names and says what may be resumed from it."""

from __future__ import annotations

from pathlib import Path

from vision_trainer.checkpoints import CheckpointIdentity, hash_config
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.resume import ResumedCheckpoint, resume_checkpoint
from vision_trainer.run import TrainerJob

from .plan import TrainingPlan
from .settings import TimmSettings, identity_of_run
from .training_state import SavedState, read_state


def identity_of(job: TrainerJob, plan: TrainingPlan) -> CheckpointIdentity:
    """What this job's checkpoints say about themselves; enough to build the model again (MODEL_URI)."""
    env = job.env
    model = {
        "framework": env.framework,
        "model_name": plan.model_name,
        "task_type": env.task_type,
        "input": plan.shape.as_dict(),
        "amp": plan.settings.amp,
    }
    config_hash = hash_config(identity_of_run(env, plan.settings))
    return CheckpointIdentity(env.job_id, env.attempt, config_hash, plan.classes, job.versions, model)


def find_checkpoint(
    job: TrainerJob, settings: TimmSettings, identity: CheckpointIdentity
) -> tuple[ResumedCheckpoint | None, SavedState | None]:
    """The newest checkpoint that is whole and can be read, or (None, None) to start from the beginning.

    Raises BAD_CONFIG for a checkpoint of something else, MODEL_UNAVAILABLE when there is none where another job's was
    asked for.
    """
    uri = job.env.resume_uri
    if uri is None:
        return None, None
    states: list[SavedState] = []

    def check(folder: Path) -> None:
        states[:] = [read_state(folder)]

    found = resume_checkpoint(
        job.storage,
        uri,
        job.work_dir / "resume",
        identity,
        allow_other_config=settings.resume_with_other_config,
        check=check,
    )
    if found is not None:
        return found, states[0]
    if not uri.startswith(job.env.output_uri.rstrip("/") + "/"):
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE, f"RESUME_URI: found no whole checkpoint at {uri}, expected at least one."
        )
    # The attempt before this one was lost before its first checkpoint was up.
    job.events.warning(
        "no_checkpoint", "There is no whole checkpoint of an earlier attempt; starting from the beginning."
    )
    return None, None
