"""Every way a job can go wrong has its exit code, says what to do in one sentence, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_variables import check_refusals
from canonical_folder import write_canonical
from conftest import Jobs, Trained, digit_pictures
from dataset_writer import upload_dataset, write_dataset
from digit_scenes import make_splits
from local_job import LocalJob
from trainer_process import TrainerProcess
from vision_trainer.failures import TrainerFailure
from vision_trainer.resume import CheckpointTorn
from vision_trainer.storage import Storage

from timm_trainer.start import start
from timm_trainer.training_state import read_state

_DIGITS = [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    ("changes", "exit_code", "code", "words"),
    [
        ({"CONFIG_JSON": '{"optimiser": "sgd"}'}, 2, "BAD_CONFIG", "optimiser"),
        ({"DATASET_URI": "s3://test-bucket/datasets/404/v1/"}, 3, "DATASET_INVALID", "MANIFEST.json"),
        ({"CONFIG_JSON": '{"pretrained": true}'}, 4, "MODEL_UNAVAILABLE", "vp models add-weights"),
        ({"JOB_KIND": "export", "MODEL_URI": "s3://test-bucket/none.json"}, 4, "MODEL_UNAVAILABLE", "MODEL_URI"),
    ],
)
def test_a_job_that_fails_ends_with_its_exit_code(
    jobs: Jobs, changes: dict[str, Any], exit_code: int, code: str, words: str
) -> None:
    _expect(jobs.start(None, **{"CONFIG_JSON": "{}", **changes}), exit_code, code, words)


def test_every_bad_variable_is_refused_by_name(jobs: Jobs) -> None:
    check_refusals(lambda changes: jobs.start(None, **changes))


_DIVERGES = {"image_size": 32, "optimizer": "sgd", "warmup_epochs": 0}


@pytest.mark.parametrize(
    ("config", "changes", "code", "words"),
    [
        ({"label_smoothing": 2}, {}, "BAD_CONFIG", "label_smoothing"),
        ({}, {"TASK_TYPE": "object_detection"}, "BAD_CONFIG", "TASK_TYPE"),
        ({}, {"MODEL_NAME": "resnet_of_my_own"}, "MODEL_UNAVAILABLE", "MODEL_NAME"),
        ({"mixed_sizes": True}, {"MODEL_NAME": "test_vit"}, "BAD_CONFIG", "mixed_sizes"),
        ({"drop_path_rate": 0.1}, {"MODEL_NAME": "vgg16"}, "BAD_CONFIG", "vgg16 does not take"),
        ({}, {"DEVICE": "cuda:15"}, "BAD_CONFIG", "GPUs are visible"),
        ({}, {"PRETRAINED_URI": "s3://test-bucket/weights/none"}, "MODEL_UNAVAILABLE", "PRETRAINED_URI"),
        ({}, {"RESUME_URI": "s3://test-bucket/jobs/99/checkpoints/"}, "MODEL_UNAVAILABLE", "RESUME_URI"),
        (_DIVERGES, {"LEARNING_RATE": "1000", "EPOCHS": "9", "BATCH_SIZE": "4"}, "DIVERGED", "finite"),
    ],
)
def test_a_training_says_what_is_wrong(
    jobs: Jobs, tmp_path: Path, config: dict[str, Any], changes: dict[str, str], code: str, words: str
) -> None:
    _refused(jobs, tmp_path, code, words, config, **changes)


@pytest.mark.parametrize(
    ("kind", "config", "changes", "code", "words"),
    [
        ("evaluate", {}, {"MODEL_NAME": "test_vit"}, "BAD_CONFIG", "MODEL_URI"),
        ("evaluate", {"split": "holdout"}, {}, "DATASET_INVALID", "holdout"),
        ("predict", {"images": ["s3://test-bucket/none.png"]}, {}, "DATASET_INVALID", "none.png"),
        ("predict", {"images": []}, {}, "BAD_CONFIG", "images"),
        ("export", {"parity_samples": 0}, {}, "BAD_CONFIG", "parity_samples"),
    ],
)
def test_a_derived_job_says_what_is_wrong(
    jobs: Jobs,
    tmp_path: Path,
    trained: Trained,
    kind: str,
    config: dict[str, Any],
    changes: dict[str, str],
    code: str,
    words: str,
) -> None:
    best = f"{jobs.output_uri(trained.job_id)}/checkpoints/best.json"
    _refused(jobs, tmp_path, code, words, config, **{"JOB_KIND": kind, "MODEL_URI": best, **changes})


def test_datasets_that_nothing_can_be_learned_from(jobs: Jobs, storage: Storage, tmp_path: Path) -> None:
    base = f"s3://{jobs.server.bucket}/datasets"
    few = digit_pictures(32)[:60]
    train = [picture for picture in few if picture.split == "train"]
    cut = [replace(few[0], split="train", content=few[0].content[:40]), *few[1:]]
    write_dataset(storage, f"{base}/31/v1/", ["0"], [replace(picture, label=0) for picture in few])
    write_dataset(storage, f"{base}/32/v1/", _DIGITS, train)
    write_dataset(storage, f"{base}/33/v1/", _DIGITS, cut)
    scenes = make_splits("object_detection", {"train": 4, "val": 2}, 1, 64)
    write_canonical(tmp_path / "detection", "object_detection", scenes)
    upload_dataset(storage, f"{base}/34/v1/", tmp_path / "detection")
    expected = {31: "classes", 32: "neither a val nor a test split", 33: "cannot be decoded", 34: "object_detection"}
    for number, words in expected.items():
        folder = tmp_path / str(number)
        folder.mkdir()
        _refused(jobs, folder, "DATASET_INVALID", words, None, DATASET_URI=f"{base}/{number}/v1/")
    # Of two processes one meets the broken image; its words are what the job ends with.
    pair = jobs.start(dataset=f"{base}/33/v1/", NUM_PROCESSES="2", BATCH_SIZE="4")
    _expect(pair, 3, "DATASET_INVALID", "cannot be decoded")


@pytest.mark.parametrize("kind", ["evaluate", "train"])
def test_a_model_meets_another_class_map(
    jobs: Jobs, storage: Storage, trained: Trained, tmp_path: Path, kind: str
) -> None:
    uri = f"s3://{jobs.server.bucket}/datasets/41/v1/"
    write_dataset(storage, uri, [f"class {digit}" for digit in _DIGITS], digit_pictures(32)[:60])
    checkpoints = f"{jobs.output_uri(trained.job_id)}/checkpoints/"
    variable = "MODEL_URI" if kind == "evaluate" else "RESUME_URI"
    _refused(jobs, tmp_path, "BAD_CONFIG", variable, None, JOB_KIND=kind, DATASET_URI=uri, **{variable: checkpoints})


def test_a_checkpoint_of_other_settings_is_refused(jobs: Jobs, trained: Trained, tmp_path: Path) -> None:
    checkpoints = f"{jobs.output_uri(trained.job_id)}/checkpoints/"
    _refused(jobs, tmp_path, "BAD_CONFIG", "resume_with_other_config", {"ema_decay": 0.5}, RESUME_URI=checkpoints)


class _Attack:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._path}",)


def test_a_poisoned_or_truncated_checkpoint_is_passed_over(jobs: Jobs, storage: Storage, tmp_path: Path) -> None:
    job_id = jobs.new_id()
    trainer = jobs.start(job_id, EPOCHS="1")
    assert trainer.wait() == 0, trainer.log
    checkpoints = f"{jobs.output_uri(job_id)}/checkpoints"
    pointer = json.loads(storage.read_bytes(f"{checkpoints}/last.json"))
    manifest = json.loads(storage.read_bytes(f"{pointer['uri']}/MANIFEST.json"))

    # An attacker who can write to the storage can also make all hashes fit.
    victim = tmp_path / "victim"
    poison = pickle.dumps(_Attack(victim))
    _replace(storage, checkpoints, pointer, manifest, "state.pt", poison)
    again = jobs.start(job_id, EPOCHS="1", ATTEMPT="2", RESUME_URI=checkpoints + "/")
    assert again.wait() == 0, again.log
    assert "no_checkpoint" in [warning["code"] for warning in again.events_of("warning")]
    assert not victim.exists()
    # It was made anew, and is poisoned anew: another job that asks for it gets nothing else instead.
    pointer = json.loads(storage.read_bytes(f"{checkpoints}/last.json"))
    for uri, _ in list(storage.list(checkpoints + "/")):
        if not uri.startswith((pointer["uri"] + "/", f"{checkpoints}/last.json")):
            storage.delete(uri)
    manifest = json.loads(storage.read_bytes(f"{pointer['uri']}/MANIFEST.json"))
    whole = storage.read_bytes(f"{pointer['uri']}/model.safetensors")
    for name in ("model.safetensors", "ema.safetensors", "best.safetensors"):
        if any(file["name"] == name for file in manifest["files"]):
            _replace(storage, checkpoints, pointer, manifest, name, whole[: len(whole) // 2])
    for number, changes in enumerate(
        (
            {"RESUME_URI": checkpoints + "/"},
            {"JOB_KIND": "evaluate", "MODEL_URI": f"{checkpoints}/last.json"},
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        _refused(jobs, folder, "MODEL_UNAVAILABLE", "no whole checkpoint at", None, **changes)
    assert not victim.exists()


def test_a_poisoned_state_is_never_unpickled(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(pickle.dumps(_Attack(tmp_path / "victim")))
    with pytest.raises(CheckpointTorn):
        read_state(tmp_path)
    torch.save({"progress": {}, "payload": _Attack(tmp_path / "victim")}, tmp_path / "state.pt")
    with pytest.raises(CheckpointTorn):
        read_state(tmp_path)
    assert not (tmp_path / "victim").exists()


def _replace(
    storage: Storage, checkpoints: str, pointer: dict[str, Any], manifest: dict[str, Any], name: str, content: bytes
) -> None:
    """Puts another file into a checkpoint and makes manifest and pointer agree with it."""
    storage.upload_bytes(content, f"{pointer['uri']}/{name}")
    for file in manifest["files"]:
        if file["name"] == name:
            file.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    body = json.dumps(manifest).encode()
    storage.upload_bytes(body, f"{pointer['uri']}/MANIFEST.json")
    pointer["manifest_sha256"] = hashlib.sha256(body).hexdigest()
    storage.upload_bytes(json.dumps(pointer).encode(), f"{checkpoints}/last.json")


def _expect(trainer: TrainerProcess, exit_code: int, code: str, words: str) -> None:
    assert trainer.wait() == exit_code, trainer.log
    last = trainer.events()[-1]
    assert last["type"] == "failed"
    assert last["data"]["code"] == code
    assert words in last["data"]["message"]
    assert trainer.left_behind() == []


def _refused(
    jobs: Jobs, folder: Path, code: str, words: str, config: Mapping[str, Any] | None = None, **changes: str
) -> None:
    """Runs a job inside this process: it must raise, say why, and leave no result."""
    named = {"DATASET_URI": jobs.digits.few_uri, "CACHE_DIR": str(jobs.folder / "cache"), **changes}
    local = LocalJob(jobs.server, folder, dict(config or {}), **named)
    with pytest.raises(TrainerFailure) as raised:
        start(local.job)
    assert raised.value.code == code
    assert words in raised.value.message
    local.job.heartbeat.stop()
    assert not {"RESULT.json", "export/model.onnx"} & set(local.stored())
