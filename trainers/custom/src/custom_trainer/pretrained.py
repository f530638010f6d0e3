"""Weights to start from, out of the platform's storage."""

from __future__ import annotations

from pathlib import PurePosixPath

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import ObjectMissing

from .workspace import Workspace


def fetch_pretrained(job: TrainerJob, workspace: Workspace) -> str:
    """The path of PRETRAINED_URI on the disk, or "" without one; its recorded sha256 is verified.

    Only the repository's own code opens it, behind its walls. Raises MODEL_UNAVAILABLE when there is no such object.
    """
    uri = job.env.pretrained_uri
    if uri is None:
        return ""
    path = workspace.home / "pretrained" / PurePosixPath(uri).name
    path.parent.mkdir(parents=True)
    try:
        job.storage.download(uri, path, sha256=job.storage.stored_sha256(uri))
    except ObjectMissing as error:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"PRETRAINED_URI: {uri} does not exist; add the weights with `vp models add-weights`.",
        ) from error
    return str(path)
