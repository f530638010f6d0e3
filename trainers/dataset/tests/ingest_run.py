"""Runs the trainer as the worker starts it: a process with an environment, against a real S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from vision_trainer.contracts import TrainerEvent, TrainerResult
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.environment import StorageSettings
from vision_trainer.storage import Storage

from hostile_archives import Entry, zip_of
from s3_server import S3Server

PREFIX = "@event "


@dataclass
class Ingest:
    """One dataset version in the making; `prefix` is a fresh place in the bucket."""

    server: S3Server
    work: Path
    prefix: str = field(default_factory=lambda: f"test-{uuid4().hex}")

    def __post_init__(self) -> None:
        self.s3 = self.server.client()

    def upload(self, *entries: Entry) -> None:
        self.upload_archive(zip_of(*entries))

    def upload_archive(self, body: bytes) -> None:
        self.s3.put_object(Bucket=self.server.bucket, Key=f"{self.prefix}/upload.zip", Body=body)

    def environment(self, *, config: dict[str, Any] | None = None, **changes: str) -> dict[str, str]:
        here = f"s3://{self.server.bucket}/{self.prefix}"
        settings = {"source_uri": f"{here}/upload.zip", "filename": "my images.zip"} | (config or {})
        given = {
            "CONTRACT_VERSION": "1",
            "JOB_ID": "6",
            "ATTEMPT": "1",
            "TRACE_ID": "0123456789abcdef0123456789abcdef",
            "JOB_KIND": "ingest",
            "FRAMEWORK": "dataset",
            "TASK_TYPE": "image_classification",
            "DATASET_ID": "4",
            "DATASET_VERSION": "2",
            "DATASET_URI": f"{here}/datasets/4/v2/",
            "OUTPUT_URI": f"{here}/jobs/6/",
            "CONFIG_JSON": json.dumps(settings),
            "SEED": "3",
            "EVENTS_MODE": "stdout",
            "STORAGE_TYPE": "minio",
            "STORAGE_BUCKET": self.server.bucket,
            "S3_ENDPOINT": self.server.endpoint,
            "S3_REGION": "us-east-1",
            "S3_ACCESS_KEY_ID": self.server.access_key_id,
            "S3_SECRET_ACCESS_KEY": self.server.secret_access_key,
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.work),
        }
        return given | changes

    def start(self, **changes: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dataset_trainer"],
            env=self.environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **changes: Any) -> tuple[int, list[dict[str, Any]]]:
        """(exit code, events)"""
        process = self.start(**changes)
        out, err = process.communicate(timeout=60)
        assert self.server.secret_access_key not in out + err
        return process.returncode, [event for line in out.splitlines() for event in events_in(line)]

    def objects(self, below: str) -> dict[str, bytes]:
        """Key → content of everything below a folder of the prefix."""
        bucket, folder = self.server.bucket, f"{self.prefix}/{below}"
        keys = [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket, Prefix=folder).get("Contents", [])]
        return {key.removeprefix(folder): self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def result(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.objects("jobs/6/")["RESULT.json"])
        TrainerResult.model_validate(result)
        return result

    def open(self, cache: Path, task: str) -> DatasetReader:
        """The version as a trainer opens it."""
        server = self.server
        settings = StorageSettings(
            "minio", server.bucket, server.endpoint, "us-east-1", True, server.access_key_id, server.secret_access_key
        )
        uri = f"s3://{server.bucket}/{self.prefix}/datasets/4/v2/"
        return open_dataset(Storage(settings), uri, cache, task_type=task)


def events_in(line: str) -> Iterator[dict[str, Any]]:
    if line.startswith(PREFIX):
        event = json.loads(line.removeprefix(PREFIX))
        TrainerEvent.model_validate(event)
        yield event
