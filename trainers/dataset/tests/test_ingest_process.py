"""The trainer as the worker starts it: a process with an environment, against a real S3 server."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from make_upload import FORMATS, damaged, upload_files
from vision_trainer.contracts import DatasetManifest, DatasetSample
from vision_trainer.dataset import training_splits
from vision_trainer.images import sample_image, sample_mask

from hostile_archives import Entry, good_entries, zip_of
from image_files import encoded
from ingest_run import Ingest, events_in
from s3_server import S3Server
from test_round_trip import DIGITS, scenes_of


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
    dataset = ingest.open(tmp_path / "cache", "image_classification")
    contents = sorted(dataset.read(sample) for sample in dataset.samples)
    assert contents == sorted(content for _, content in good_entries())


@pytest.mark.parametrize(
    ("task", "format_name"), [(task, format_name) for format_name, tasks in FORMATS.items() for task in tasks]
)
def test_every_format_is_what_trainers_train_on(ingest: Ingest, tmp_path: Path, task: str, format_name: str) -> None:
    scenes = scenes_of(task)
    ingest.upload(*upload_files(task, format_name, scenes, digits=DIGITS))
    code, events = ingest.run(TASK_TYPE=task)
    assert code == 0, events[-1]
    dataset = ingest.open(tmp_path / "cache", task)
    train, val = training_splits(dataset)
    assert (len(train), len(val)) == (12, 6)
    assert dataset.manifest.source_format == format_name
    for sample in (train[0], val[-1]):
        assert sample_image(dataset, sample).size == (96, 96)
        assert task != "semantic_segmentation" or sample_mask(dataset, sample).shape == (96, 96)
    version = ingest.objects("datasets/4/v2/")
    for line in gzip.decompress(version["samples.jsonl.gz"]).splitlines():
        DatasetSample.model_validate_json(line)
    assert ingest.result()["dataset"]["source_format"] == format_name


def test_a_damaged_upload_of_objects_is_told_and_can_be_skipped(ingest: Ingest) -> None:
    task = "object_detection"
    ingest.upload(*damaged(upload_files(task, "voc", scenes_of(task), digits=DIGITS), 3))
    assert ingest.run(TASK_TYPE=task)[0] == 3
    result = ingest.result()
    assert result["finding_counts"]["error"] == 3
    assert ingest.run(TASK_TYPE=task, ATTEMPT="2", config={"skip_bad_files": True, "format": "voc"})[0] == 0
    assert ingest.result()["dataset"]["samples"] == 15


def test_a_format_that_does_not_fit_is_told(ingest: Ingest) -> None:
    ingest.upload(*good_entries())
    code, events = ingest.run(TASK_TYPE="object_detection", config={"format": "image_folder"})
    assert code == 3
    assert "use coco or yolo or voc" in events[-1]["data"]["message"]
    assert ingest.run(TASK_TYPE="object_detection", ATTEMPT="2")[0] == 3
    assert ingest.result()["findings"][0]["reason"].startswith("Found 12 images. Expected COCO: ")


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


def test_equal_findings_are_shown_by_example_and_counted(ingest: Ingest) -> None:
    ingest.upload(*good_entries(), *((f"train/cat/{n}.jpg", b"no") for n in range(1234)))
    assert ingest.run()[0] == 3
    result = ingest.result()
    assert result["finding_counts"] == {"error": 1234, "warning": 0}
    assert len(result["findings"]) == 21
    assert result["findings"][-1]["reason"] == "1214 more like these, 1234 in all."


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
        ("format", "tfrecord"),
        ("no_such_setting", 1),
        ("TASK_TYPE", "object_recognition"),
        ("JOB_KIND", "train"),
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
