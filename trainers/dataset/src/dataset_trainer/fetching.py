"""Brings the upload onto the local disk, once it is clear that it may and that it fits."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob

from .findings import Code, Findings
from .limits import DEFAULT_LIMITS, MIB

_STOP_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Upload:
    """The downloaded archive."""

    path: Path
    sha256: str
    bytes: int


def fetch_upload(job: TrainerJob, uri: str, findings: Findings) -> Upload | None:
    """Downloads the archive; None (noted) when it is larger than the limit.

    Raises TrainerFailure: BAD_CONFIG when there is no such object, STORAGE_FAILURE when it does not fit on the disk.
    """
    job.events.phase("downloading")
    size = next((size for found, size in job.storage.list(uri) if found == uri), None)
    if size is None:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"source_uri: {uri} does not exist.")
    if size > DEFAULT_LIMITS.archive_bytes:
        reason = f"The archive is {size} bytes, the limit is {DEFAULT_LIMITS.archive_bytes}."
        findings.error(Code.TOO_LARGE, reason)
        return None
    _check_disk(job.work_dir, size)
    path = job.work_dir / "upload.zip"
    sha256 = _download(job, uri, path)
    job.events.phase("preparing")
    return Upload(path, sha256, path.stat().st_size)


def _download(job: TrainerJob, uri: str, path: Path) -> str:
    """The sha256 of the download. In a thread, because a large one takes minutes and a stop must not wait for it."""
    pool = ThreadPoolExecutor(1, "download")
    download = pool.submit(job.storage.download, uri, path)
    pool.shutdown(wait=False)
    while not wait([download], _STOP_EVERY_S).done:
        job.leave_if_stopped()
    return download.result()


def _check_disk(work: Path, archive_bytes: int) -> None:
    """Archive and shards lie side by side; images are compressed already, so both have about the same size."""
    needed = 2 * archive_bytes + 64 * MIB
    free = shutil.disk_usage(work).free
    if free < needed:
        raise TrainerFailure(
            FailureCode.STORAGE_FAILURE,
            f"Checking the upload needs about {needed // MIB} MiB on the local disk, {free // MIB} MiB are free.",
        )
