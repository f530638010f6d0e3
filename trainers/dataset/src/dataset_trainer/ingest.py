"""The job: download the upload, check it, store the version with its manifest last, tell what was found."""

from __future__ import annotations

import errno
import json
import time
from typing import Any

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob, TrainerOutcome
from vision_trainer.storage import join_uri

from .config import IngestConfig
from .fetching import Upload, fetch_upload
from .findings import Findings
from .version_builder import SAMPLES_NAME, BuildOptions, BuiltVersion, build_version

_EVENT_EVERY_S = 0.5


def ingest(job: TrainerJob) -> TrainerOutcome:
    """Runs the whole job. Raises TrainerFailure: BAD_CONFIG, DATASET_INVALID after RESULT.json, STORAGE_FAILURE."""
    config = IngestConfig.from_environment(job.env)
    findings = Findings(skip_bad_files=config.skip_bad_files)
    source = fetch_upload(job, config.source_uri, findings)
    options = BuildOptions(job.env.seed, config.val_fraction, config.task_type, config.format)
    progress = _ImageProgress(job)
    built = None
    if source is not None:
        built = build_version(source.path, job.work_dir, options, findings, progress, breathe=job.leave_if_stopped)
    job.leave_if_stopped()
    if source is None or built is None:
        _write_result(job, "failed", findings, None)
        raise TrainerFailure(FailureCode.DATASET_INVALID, findings.summary())
    manifest = _manifest(job, config, source, built, findings)
    _upload(job, built, manifest)
    _write_result(job, "succeeded", findings, _summary(built))
    job.events.log("info", f"{built.samples_count} images ({built.format}, {len(built.classes)} classes) are ready.")
    return TrainerOutcome(metrics={})


def translate(error: BaseException) -> TrainerFailure | None:
    """A full disk is the machine's trouble, not a bug: another attempt may find room."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TrainerFailure(FailureCode.STORAGE_FAILURE, "The disk of the machine that checks the upload is full.")
    return None


class _ImageProgress:
    """Publishes how far the check is, a few times a second, and ends it when a stop was asked for."""

    def __init__(self, job: TrainerJob) -> None:
        self._job = job
        self._started = time.monotonic()
        self._next = self._started + _EVENT_EVERY_S

    def __call__(self, done: int, total: int) -> None:
        self._job.leave_if_stopped()
        now = time.monotonic()
        if now < self._next and done < total:
            return
        self._next = now + _EVENT_EVERY_S
        seconds = max(now - self._started, 1e-6)
        self._job.events.publish(
            "progress",
            {
                "epoch": 0,
                "epochs": 0,
                "step": done,
                "steps": total,
                "pct": round(100 * done / total, 1),
                "eta_s": round((total - done) * seconds / done, 1),
                "samples_per_s": round(done / seconds, 1),
            },
        )


def _upload(job: TrainerJob, built: BuiltVersion, manifest: dict[str, Any]) -> None:
    """Shards, index, manifest, in this order: a version without its manifest does not exist for anybody."""
    target = job.env.dataset_uri
    total = sum(shard.bytes for shard in built.shards) or 1
    done = 0
    for shard in built.shards:
        job.events.phase("uploading", round(100 * done / total, 1))
        job.storage.upload_file(shard.path, join_uri(target, shard.name))
        # Uploaded means the local copy has done its duty; a large version need not lie here twice.
        shard.path.unlink()
        done += shard.bytes
        job.leave_if_stopped()
    job.storage.upload_file(built.samples_path, join_uri(target, SAMPLES_NAME))
    job.leave_if_stopped()
    body = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
    job.storage.upload_bytes(body, join_uri(target, "MANIFEST.json"))


def _manifest(
    job: TrainerJob, config: IngestConfig, source: Upload, built: BuiltVersion, findings: Findings
) -> dict[str, Any]:
    """`DatasetManifest` of shared-contracts. Holds no time and no attempt: a second attempt writes the same bytes."""
    keypoints = {} if built.keypoints is None else {"keypoints": built.keypoints}
    return {
        "v": 1,
        "dataset_id": config.dataset_id,
        "version": config.dataset_version,
        "task_type": config.task_type,
        "classes": built.classes,
        "counts": built.counts,
        "class_counts": built.class_counts,
        "shards": [
            {
                "name": shard.name,
                "split": shard.split,
                "samples": shard.samples,
                "bytes": shard.bytes,
                "sha256": shard.sha256,
            }
            for shard in built.shards
        ],
        "samples": {
            "name": SAMPLES_NAME,
            "bytes": built.samples_bytes,
            "sha256": built.samples_sha256,
            "count": built.samples_count,
        },
        "source_format": built.format,
        "source": {
            "filename": config.filename,
            "bytes": source.bytes,
            "sha256": source.sha256,
            "layout": built.layout,
            "seed": job.env.seed,
            "val_fraction": config.val_fraction if built.split_here else None,
            "skip_bad_files": config.skip_bad_files,
            "ignored_files": built.ignored,
        },
        "statistics": built.statistics,
        "finding_counts": findings.counts(),
        **keypoints,
    }


def _summary(built: BuiltVersion) -> dict[str, Any]:
    return {
        "source_format": built.format,
        "classes": built.classes,
        "counts": built.counts,
        "samples": built.samples_count,
        "bytes": sum(shard.bytes for shard in built.shards),
    }


def _write_result(job: TrainerJob, status: str, findings: Findings, dataset: dict[str, Any] | None) -> None:
    job.result.write(
        status,
        {},
        findings=findings.for_result(),
        finding_counts=findings.counts(),
        dataset=dataset,
    )
