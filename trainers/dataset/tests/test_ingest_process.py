"""The trainer as the worker starts it: a process with an environment, against a real S3 server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from vision_trainer.contracts import DatasetManifest, TrainerEvent, TrainerResult
from vision_trainer.dataset import open_dataset
from vision_trainer.environment import StorageSettings
from vision_trainer.storage import Storage

from conftest import S3Server
from hostile_archives import Entry, good_entries, zip_of
from image_files import encoded

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

    def environment(self, **changes: str) -> dict[str, str]:
        here = f"s3://{self.server.bucket}/{self.prefix}"
        config = {"source_uri": f"{here}/upload.zip", "filename": "my images.zip"}
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
            "CONFIG_JSON": json.dumps(config),
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

    def start(self, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dataset_trainer"],
            env=self.environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **changes: str) -> tuple[int, list[dict[str, Any]]]:
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


@pytest.fixture
def ingest(s3: S3Server, tmp_path: Path) -> Iterator[Ingest]:
    made = Ingest(s3, tmp_path / "work")
    made.work.mkdir()
    yield made
    assert list(made.work.iterdir()) == [], "the trainer leaves nothing on the disk"


def events_in(line: str) -> Iterator[dict[str, Any]]:
    if line.startswith(PREFIX):
        event = json.loads(line.removeprefix(PREFIX))
        TrainerEvent.model_validate(event)
        yield event


def slow_entries() -> list[Entry]:
    """Images that keep the check busy for a second, in a small zip."""
    big = {label: encoded("JPEG", shade=shade, size=(4000, 3000)) for label, shade in (("a", 1), ("b", 200))}
    return [(f"{split}/{label}/{n}.jpg", big[label]) for split in ("train", "val") for label in "ab" for n in range(3)]


def wait_for_check(process: subprocess.Popen[str]) -> None:
    """Until the upload is on the local disk and its images are being decoded."""
    assert process.stdout is not None
    names = (event["data"].get("name") for line in process.stdout for event in events_in(line))
    assert "downloading" in names
    assert "preparing" in names


def test_a_good_upload_becomes_a_version(ingest: Ingest) -> None:
    ingest.upload(*good_entries())
    code, events = ingest.run()
    assert code == 0
    assert [event["src_seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("started", "succeeded")
    phases = [event["data"]["name"] for event in events if event["type"] == "phase"]
    assert phases == ["preparing", "downloading", "preparing", "uploading", "uploading"]
    version = ingest.objects("datasets/4/v2/")
    assert sorted(version) == ["MANIFEST.json", "samples.jsonl.gz", "shards/train-00000.tar", "shards/val-00000.tar"]
    manifest = DatasetManifest.model_validate_json(version["MANIFEST.json"])
    assert (manifest.dataset_id, manifest.version, manifest.classes) == (4, 2, ["cat", "dog"])
    result = ingest.result()
    assert result["status"] == "succeeded"
    assert result["dataset"] | {"bytes": 0} == {
        "source_format": "image_folder", "classes": ["cat", "dog"], "counts": {"train": 6, "val": 6}, "samples": 12,
        "bytes": 0,
    }  # fmt: skip


def test_the_version_is_what_trainers_read(ingest: Ingest, tmp_path: Path) -> None:
    ingest.upload(*good_entries())
    assert ingest.run()[0] == 0
    server = ingest.server
    settings = StorageSettings(
        "minio", server.bucket, server.endpoint, "us-east-1", True, server.access_key_id, server.secret_access_key
    )
    uri = f"s3://{server.bucket}/{ingest.prefix}/datasets/4/v2/"
    dataset = open_dataset(Storage(settings), uri, tmp_path / "cache")
    contents = sorted(dataset.read(sample) for sample in dataset.samples)
    assert contents == sorted(content for _, content in good_entries())


def test_every_object_carries_its_hash(ingest: Ingest) -> None:
    ingest.upload(*good_entries())
    assert ingest.run()[0] == 0
    for name, content in ingest.objects("datasets/4/v2/").items():
        head = ingest.s3.head_object(Bucket=ingest.server.bucket, Key=f"{ingest.prefix}/datasets/4/v2/{name}")
        assert head["Metadata"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_bad_upload_is_refused_with_its_findings(ingest: Ingest) -> None:
    ingest.upload(*good_entries(), ("train/cat/page.jpg", b"<html>"), ("train/cat/empty.png", b""), ("a.md", b"#"))
    code, events = ingest.run()
    assert code == 3
    failed = events[-1]
    assert (failed["type"], failed["data"]["code"], failed["data"]["retryable"]) == ("failed", "DATASET_INVALID", False)
    assert failed["data"]["message"].startswith("The upload has 2 problems. ")
    assert "train/cat/page.jpg" in failed["data"]["message"]
    assert ingest.objects("datasets/") == {}
    result = ingest.result()
    assert result["status"] == "failed"
    assert result["finding_counts"] == {"error": 2, "warning": 1}
    assert [finding["severity"] for finding in result["findings"]] == ["error", "error", "warning"]
    assert {finding["code"] for finding in result["findings"]} == {"NOT_AN_IMAGE", "EMPTY_FILE", "STRAY_FILE"}


def test_findings_beyond_the_first_thousand_are_counted(ingest: Ingest) -> None:
    ingest.upload(*good_entries(), *((f"train/cat/{n}.jpg", b"no") for n in range(1234)))
    assert ingest.run()[0] == 3
    result = ingest.result()
    assert len(result["findings"]) == 1000
    assert result["finding_counts"] == {"error": 1234, "warning": 0}


def test_a_killed_attempt_leaves_nothing_and_the_next_writes_the_same_bytes(s3: S3Server, tmp_path: Path) -> None:
    whole, killed = (Ingest(s3, tmp_path / name) for name in ("whole", "killed"))
    archive = zip_of(*slow_entries())
    for ingest in (whole, killed):
        ingest.work.mkdir()
        ingest.upload_archive(archive)
    process = killed.start()
    wait_for_check(process)
    process.kill()
    process.communicate(timeout=10)
    assert killed.objects("datasets/") == {}
    assert killed.run(ATTEMPT="2")[0] == whole.run()[0] == 0
    assert killed.objects("datasets/4/v2/") == whole.objects("datasets/4/v2/")


def test_sigterm_stops_without_a_version(ingest: Ingest) -> None:
    ingest.upload(*slow_entries())
    process = ingest.start()
    wait_for_check(process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 20
    last = [event for line in out.splitlines() for event in events_in(line)][-1]
    assert (last["type"], last["data"]["reason"]) == ("stopped", "cancelled")
    assert ingest.objects("datasets/") == {}
    assert ingest.objects("jobs/") == {}


def test_a_missing_upload_is_named(ingest: Ingest) -> None:
    code, events = ingest.run()
    assert code == 2
    assert events[-1]["data"]["code"] == "BAD_CONFIG"
    assert "upload.zip does not exist" in events[-1]["data"]["message"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("source_uri", 5),
        ("source_uri", "https://example.org/a.zip"),
        ("filename", ""),
        ("skip_bad_files", "yes"),
        ("val_fraction", 0),
        ("val_fraction", 1.0),
        ("val_fraction", True),
        ("DATASET_ID", "four"),
        ("DATASET_VERSION", "0"),
        ("TASK_TYPE", "object_detection"),
        ("JOB_KIND", "evaluate"),
    ],
)
def test_a_bad_setting_is_named(ingest: Ingest, variable: str, value: Any) -> None:
    environment = ingest.environment()
    if variable.islower():
        environment["CONFIG_JSON"] = json.dumps(json.loads(environment["CONFIG_JSON"]) | {variable: value})
    else:
        environment[variable] = value
    code, events = ingest.run(**environment)
    assert code == 2
    assert variable in events[-1]["data"]["message"]
