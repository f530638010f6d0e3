"""Repositories that misbehave: the right exit code, one clear sentence, nothing left behind."""

from __future__ import annotations

import io
import json
import subprocess
import time
from pathlib import Path

import pytest
from bad_variables import check_refusals
from canonical_folder import write_canonical
from dataset_writer import Picture, upload_dataset, write_dataset
from digit_scenes import make_splits
from forked_job import start_fork_server
from PIL import Image
from vision_trainer.failures import FailureCode, TrainerFailure

from conftest import Bundled, Jobs
from custom_trainer.repository import check_address
from custom_trainer.settings import read_train_settings
from custom_trainer.train_job import choose


def outcome(jobs: Jobs, behave: str) -> tuple[int, dict[str, object], str]:
    """(exit code, the failed event, everything that was logged) of a training that behaves like that."""
    trainer = jobs.start(config={"behave": behave})
    code = trainer.wait()
    failed = trainer.events_of("failed")
    assert trainer.left_behind() == []
    logged = "\n".join(str(entry["message"]) for entry in trainer.events_of("log"))
    warned = " ".join(str(entry["code"]) for entry in trainer.events_of("warning"))
    return code, failed[0] if failed else {}, f"{logged}\nwarnings: {warned}\n{trainer.log}"


@pytest.mark.parametrize(
    ("behave", "code", "failure", "words"),
    [
        ("fail", 12, "FRAMEWORK_ERROR", "exit code 7. It said: ValueError: the learning rate is silly"),
        ("oom", 11, "GPU_OUT_OF_MEMORY", "smaller batch"),
        ("dataset", 3, "DATASET_INVALID", "cannot read the data"),
        ("nan", 10, "DIVERGED", "no number"),
        ("hang", 12, "FRAMEWORK_ERROR", "no sign of life for 5 s"),
        ("incomplete", 12, "FRAMEWORK_ERROR", "the sign of completion that its manifest names is missing"),
    ],
)
def test_failures_are_told_apart(jobs: Jobs, behave: str, code: int, failure: str, words: str) -> None:
    found, failed, logged = outcome(jobs, behave)
    assert (found, failed.get("code")) == (code, failure), logged
    assert words in str(failed["message"])


def test_silence_about_progress_is_a_warning(jobs: Jobs) -> None:
    """No epoch is ever told; steps come from stderr, so the last checkpoint counts as best."""
    code, _, logged = outcome(jobs, "silent")
    assert code == 0 and "no_best" in logged


def test_escaped_processes_are_ended(jobs: Jobs) -> None:
    code, _, logged = outcome(jobs, "escape")
    assert code == 0 and "processes_left" in logged
    found = subprocess.run(["pgrep", "-f", "escaped-from-the-sample"], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_nothing_is_written_outside(jobs: Jobs) -> None:
    code, _, logged = outcome(jobs, "outside")
    assert code == 0
    for place in ("/tmp/sample-was-here", "/var/tmp/sample-was-here"):
        assert not Path(place).exists()
    assert "refused /tmp/sample-was-here" in logged and "wrote /" not in logged


def test_no_secret_is_in_reach(jobs: Jobs) -> None:
    code, _, logged = outcome(jobs, "secrets")
    assert code == 0
    assert jobs.server.secret_access_key not in logged and jobs.server.access_key_id not in logged
    assert "refused /proc/" in logged and "read /proc/" not in logged
    assert "cat said 0 bytes" in logged and "may not signal" in logged
    assert "network refused" in logged
    for name in ("S3_", "CALLBACK", "JOB_ID", "OUTPUT_URI"):
        assert name not in next(line for line in logged.splitlines() if line.startswith("environment:"))


def test_links_are_not_followed(jobs: Jobs) -> None:
    """The best file and the log are links to a file of the system; neither is read or uploaded."""
    job_id = jobs.new_id()
    trainer = jobs.start(job_id, config={"behave": "link"})
    trainer.wait()
    for uri, _ in jobs.storage.list(jobs.output_uri(job_id) + "/"):
        assert b"root:x:" not in jobs.storage.read_bytes(uri)


def test_a_flood_of_output_is_bounded(jobs: Jobs) -> None:
    job_id = jobs.new_id()
    trainer = jobs.start(job_id, config={"behave": "flood"})
    assert trainer.wait() == 0, trainer.log
    assert len(trainer.events_of("log")) < 300
    assert max(len(json.dumps(event)) for event in trainer.events()) <= 16 * 1024


def test_stopping_a_stuck_one_keeps_its_checkpoint(jobs: Jobs) -> None:
    """SIGTERM reaches it while it sleeps; it is killed after its grace, and the last checkpoint is up."""
    job_id = jobs.new_id()
    trainer = jobs.start(job_id, config={"behave": "stuck"}, GRACE_S="20")
    trainer.wait_until(lambda running: bool(running.events_of("checkpoint")))
    asked = time.monotonic()
    trainer.terminate()
    assert trainer.wait(30) == 20, trainer.log
    assert time.monotonic() - asked < 20
    [stopped] = trainer.events_of("stopped")
    assert str(stopped["resume_uri"]).startswith(jobs.output_uri(job_id))


def settings(sample: Bundled, **changes: object) -> dict[str, object]:
    """The job's config with changes; None takes a setting out."""
    config: dict[str, object | None] = {"git_url": sample.git_url, "commit": sample.commit, "params": {}, **changes}
    return {name: value for name, value in config.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"commit": "main"}, "commit"),
        ({"commit": None}, "commit"),
        ({"git_url": None}, "git_url"),
        ({"git_url": "file:///etc"}, "git_url"),
        ({"git_url": "/srv/repository.git"}, "git_url"),
        ({"git_url": "ssh://git@host/repo"}, "git_url"),
        ({"git_url": "git@host:repo"}, "git_url"),
        ({"git_url": "http://host/repo"}, "git_url"),
        ({"git_url": "https://user:word@host/repo"}, "git_url"),
        ({"git_url": "https://host/repo?x=$(id)"}, "git_url"),
        ({"git_url": "--upload-pack=touch"}, "git_url"),
        ({"git_url": "s3://other-bucket/repositories/x.bundle"}, "git_url"),
        ({"git_url": "s3://test-bucket/jobs/1/x.bundle"}, "git_url"),
        ({"git_url": "s3://test-bucket/repositories/../jobs/x.bundle"}, "git_url"),
        ({"surprise": 1}, "surprise"),
        ({"params": 3}, "params"),
    ],
)
def test_bad_addresses_are_refused_before_anything_is_fetched(
    sample: Bundled, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(TrainerFailure) as failure:
        chosen = choose("repository", *read_train_settings("repository", settings(sample, **changes)))
        check_address(chosen.git, chosen.commit, "test-bucket")
    assert failure.value.code is FailureCode.BAD_CONFIG
    assert words in failure.value.message


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"commit": "0" * 40}, 4, "holds no commit 0000"),
        ({"git_url": "https://host.example.org/repo"}, 4, "no network"),
        ({"git_url": "s3://test-bucket/repositories/none.bundle"}, 4, "does not exist"),
        ({"manifest": "../../../etc/passwd"}, 2, "holds no manifest"),
        ({"params": {"momentum": 2, "speed": 1}}, 2, "speed: is no setting of this repository; momentum: is 2"),
    ],
)
def test_bad_configs_are_refused(jobs: Jobs, changes: dict[str, object], code: int, words: str) -> None:
    trainer = jobs.start(CONFIG_JSON=json.dumps(settings(jobs.sample, **changes)))
    assert trainer.wait() == code, trainer.log
    [failed] = trainer.events_of("failed")
    assert words in failed["message"]
    assert trainer.left_behind() == []


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"MODEL_NAME": "no_such_model"}, 2, "MODEL_NAME"),
        ({"TASK_TYPE": "object_detection"}, 2, "TASK_TYPE"),
        ({"NUM_PROCESSES": "2"}, 2, "NUM_PROCESSES"),
        ({"PRETRAINED_URI": "s3://test-bucket/weights/custom/none.pt"}, 4, "PRETRAINED_URI"),
        ({"RESUME_URI": "s3://test-bucket/jobs/999999/checkpoints/"}, 4, "RESUME_URI"),
        ({"DATASET_URI": "s3://test-bucket/datasets/77/v1/"}, 3, "dataset"),
    ],
)
def test_bad_environments_are_refused(jobs: Jobs, changes: dict[str, str], code: int, words: str) -> None:
    trainer = jobs.start(None, config={}, **changes)
    assert trainer.wait() == code, trainer.log
    [failed] = trainer.events_of("failed")
    assert words in failed["message"]
    assert trainer.left_behind() == []


def test_every_bad_variable_is_refused_by_name(jobs: Jobs) -> None:
    start_fork_server(["custom_trainer.train_job"], {})
    check_refusals(lambda changes: jobs.start_forked(**changes))


def test_datasets_that_nothing_can_be_learned_from(jobs: Jobs, tmp_path: Path) -> None:
    base = f"s3://{jobs.server.bucket}/datasets"
    good = [Picture(split, label, 8, 8, png(label)) for split in ("train", "val") for label in (0, 1, 0, 1)]
    train = [picture for picture in good if picture.split == "train"]
    broken = [*good[1:], Picture("train", 0, 8, 8, b"\x89PNG\r\n\x1a\nnothing")]
    write_dataset(jobs.storage, f"{base}/81/v1/", ["a"], [Picture(one.split, 0, 8, 8, one.content) for one in good])
    write_dataset(jobs.storage, f"{base}/82/v1/", ["a", "b"], train)
    write_dataset(jobs.storage, f"{base}/83/v1/", ["a", "b"], broken)
    write_canonical(tmp_path, "object_detection", make_splits("object_detection", {"train": 4, "val": 2}, 1, 64))
    upload_dataset(jobs.storage, f"{base}/84/v1/", tmp_path)
    expected = {81: "class", 82: "val", 83: "decoded", 84: "object_detection"}
    for number, trainer in [(number, jobs.start(DATASET_URI=f"{base}/{number}/v1/")) for number in expected]:
        assert trainer.wait() == 3, trainer.log
        [failed] = trainer.events_of("failed")
        assert failed["code"] == "DATASET_INVALID" and expected[number] in failed["message"], failed
        assert trainer.left_behind() == []


def png(label: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (50 * label, 9, 9)).save(file, "PNG")
    return file.getvalue()
