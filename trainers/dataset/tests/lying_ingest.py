"""The ingest, bent to break the contract in the one way that CONFIG_JSON names as `lie`: the kit must see it.

A program of its own, started as the trainer is (conformance/src/ingest.test.ts).
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from collections.abc import Callable
from typing import Any

from vision_trainer.run import TrainerJob, exit_process, run_trainer
from vision_trainer.storage import join_uri

from dataset_trainer import ingest

_ingest = vars(ingest)
_upload, _manifest, _build, _result = (
    _ingest[name] for name in ("_upload", "_manifest", "build_version", "_write_result")
)


def manifest_first() -> None:
    """A manifest lies there before what it names."""

    def upload(job: TrainerJob, *rest: Any) -> None:
        job.storage.upload_bytes(b"{}", join_uri(job.env.dataset_uri, "MANIFEST.json"))
        _upload(job, *rest)

    _ingest["_upload"] = upload


def wrong_hash() -> None:
    """The manifest tells another hash of the first shard."""

    def manifest(*rest: Any) -> dict[str, Any]:
        made: dict[str, Any] = _manifest(*rest)
        made["shards"][0]["sha256"] = "0" * 64
        return made

    _ingest["_manifest"] = manifest


def unpredictable() -> None:
    """The order of the samples is another one each time."""

    def build(path: Any, work: Any, options: Any, *rest: Any, **named: Any) -> Any:
        return _build(path, work, dataclasses.replace(options, seed=secrets.randbelow(2**32)), *rest, **named)

    _ingest["build_version"] = build


def keep_what_was_refused() -> None:
    """A refused upload leaves something in the place of its version."""

    def result(job: TrainerJob, status: str, *rest: Any) -> None:
        if status == "failed":
            job.storage.upload_bytes(b"bad", join_uri(job.env.dataset_uri, "shards/train-00000.tar"))
        _result(job, status, *rest)

    _ingest["_write_result"] = result


def write_elsewhere() -> None:
    """An object outside of the job's and the version's folder."""

    def upload(job: TrainerJob, *rest: Any) -> None:
        job.storage.upload_bytes(b"here", f"s3://{job.env.storage.bucket}/elsewhere/{job.env.job_id}")
        _upload(job, *rest)

    _ingest["_upload"] = upload


def ignore_stop() -> None:
    """SIGTERM is heard, and the version made all the same."""
    vars_of_job: Any = TrainerJob
    vars_of_job.leave_if_stopped = lambda self, resume_uri=None: None


_LIES: dict[str, Callable[[], None]] = {
    lie.__name__: lie
    for lie in (manifest_first, wrong_hash, unpredictable, keep_what_was_refused, write_elsewhere, ignore_stop)
}

if __name__ == "__main__":
    config = json.loads(os.environ["CONFIG_JSON"])
    _LIES[config.pop("lie")]()
    os.environ["CONFIG_JSON"] = json.dumps(config)
    exit_process(run_trainer(ingest.ingest, kinds=("ingest",), packages=("pillow",), translate=ingest.translate))
