"""Every way a job can go wrong has its exit code and says what to do."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_variables import check_refusals
from conftest import Platform
from digit_scenes import make_scenes
from forked_job import ForkedTrainer
from safetensors.torch import load, save
from tampered_checkpoint import copy_checkpoint

TASK = "image_classification"


def _failed(trainer: ForkedTrainer, exit_code: int, code: str, words: str) -> None:
    assert trainer.wait() == exit_code, trainer.log
    last = trainer.events()[-1]
    assert last["type"] == "failed"
    assert last["data"]["code"] == code
    assert words in last["data"]["message"]
    assert trainer.left_behind() == []


@pytest.mark.parametrize(
    ("changes", "exit_code", "code", "words"),
    [
        ({"config": {"optimiser": "sgd"}}, 2, "BAD_CONFIG", "optimiser"),
        ({"config": {"dropout": 2}}, 2, "BAD_CONFIG", "dropout"),
        ({"config": {"max_words": 9, "label_smoothing": 1}}, 2, "BAD_CONFIG", "label_smoothing"),
        ({"TASK_TYPE": "instance_segmentation"}, 2, "BAD_CONFIG", "TASK_TYPE"),
        ({"MODEL_NAME": "test_segformer"}, 2, "BAD_CONFIG", "semantic_segmentation"),
        ({"MODEL_NAME": "gpt2"}, 4, "MODEL_UNAVAILABLE", "MODEL_NAME"),
        ({"DEVICE": "cuda:63"}, 2, "BAD_CONFIG", "DEVICE"),
        ({"DATASET_URI": "s3://test-bucket/datasets/404/v1/"}, 3, "DATASET_INVALID", "MANIFEST.json"),
        ({"config": {"pretrained": True}}, 4, "MODEL_UNAVAILABLE", "weights/huggingface/test_vit"),
        ({"RESUME_URI": "s3://test-bucket/jobs/404/checkpoints/"}, 4, "MODEL_UNAVAILABLE", "RESUME_URI"),
        (
            {"JOB_KIND": "evaluate", "MODEL_URI": "s3://test-bucket/jobs/404/checkpoints/best.json"},
            4,
            "MODEL_UNAVAILABLE",
            "MODEL_URI",
        ),
        (
            {"LEARNING_RATE": "1000", "EPOCHS": "40", "BATCH_SIZE": "4",
             "config": {"optimizer": "sgd", "clip_grad": None}},
            10,
            "DIVERGED",
            "finite",
        ),
    ],
)  # fmt: skip
def test_says_what_is_wrong(platform: Platform, changes: dict[str, Any], exit_code: int, code: str, words: str) -> None:
    dataset = platform.scenes(TASK, 40, 10, size=32)
    _failed(platform.start(TASK, dataset, **changes), exit_code, code, words)


def test_every_bad_variable_is_refused_by_name(platform: Platform) -> None:
    dataset = platform.scenes(TASK, 40, 10, size=32)
    check_refusals(lambda changes: platform.start(TASK, dataset, None, **changes))


def test_a_dataset_that_cannot_be_trained_with(platform: Platform) -> None:
    def images(train: int, val: int, digits: tuple[int, ...] = (0, 1, 2)) -> str:
        return platform.dataset(
            f"bad-{train}-{val}-{digits}",
            TASK,
            lambda: {
                "train": make_scenes(TASK, train, 1, size=32, digits=digits),
                "val": make_scenes(TASK, val, 2, size=32, digits=digits),
            },
            digits=digits,
        )

    for dataset, words in ((images(8, 4, (3,)), "classes"), (images(8, 0), "val"), (images(1, 4), "train")):
        _failed(platform.start(TASK, dataset), 3, "DATASET_INVALID", words)
    _failed(platform.start("object_detection", images(8, 4)), 3, "DATASET_INVALID", "image_classification")


def test_an_image_that_is_none(platform: Platform, tmp_path: Path) -> None:
    from dataset_writer import upload_dataset
    from digit_scenes import write_canonical

    # The shard's hash is right, what lies in it is not: as an upload that was broken before it came here.
    scenes = {"train": make_scenes(TASK, 8, 1, size=32), "val": make_scenes(TASK, 4, 2, size=32)}
    write_canonical(tmp_path, TASK, scenes)
    shard = tmp_path / "shards/train-00000.tar"
    content = shard.read_bytes().replace(b"IHDR", b"IHDX")
    shard.write_bytes(content)
    manifest = json.loads((tmp_path / "MANIFEST.json").read_text())
    import hashlib

    next(row for row in manifest["shards"] if row["split"] == "train")["sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / "MANIFEST.json").write_text(json.dumps(manifest))
    uri = f"s3://{platform.server.bucket}/datasets/{platform.new_id()}/v1/"
    upload_dataset(platform.storage, uri, tmp_path)
    _failed(platform.start(TASK, uri), 3, "DATASET_INVALID", "cannot be decoded")


@pytest.fixture(scope="module")
def trained(platform: Platform) -> int:
    """A finished training of test_vit."""
    job_id = platform.new_id()
    trainer = platform.start(TASK, platform.scenes(TASK, 40, 10, size=32), job_id, EPOCHS="1")
    assert trainer.wait() == 0, trainer.log
    return job_id


def test_a_checkpoint_of_something_else(platform: Platform, trained: int) -> None:
    dataset, checkpoints = platform.scenes(TASK, 40, 10, size=32), f"{platform.output(trained)}/checkpoints/"
    resume: dict[str, Any] = {"RESUME_URI": checkpoints, "EPOCHS": "1"}
    other = platform.start(TASK, dataset, **resume, config={"ema_decay": 0.5})
    _failed(other, 2, "BAD_CONFIG", "resume_with_other_config")
    _failed(platform.start(TASK, dataset, **resume, MODEL_NAME="test_deit"), 2, "BAD_CONFIG", "model_name")
    fewer = platform.scenes(TASK, 20, 10, size=32, digits=[0, 1])
    _failed(platform.start(TASK, fewer, **resume), 2, "BAD_CONFIG", "classes")
    evaluation = platform.derive("evaluate", TASK, dataset, trained, MODEL_NAME="test_deit")
    _failed(evaluation, 2, "BAD_CONFIG", "MODEL_URI")
    _failed(platform.derive("evaluate", TASK, fewer, trained), 2, "BAD_CONFIG", "classes")
    worst = platform.derive("evaluate", TASK, dataset, trained, config={"worst": -1})
    _failed(worst, 2, "BAD_CONFIG", "worst")


def test_a_poisoned_checkpoint_is_passed_over(platform: Platform, trained: int) -> None:
    """Its hashes are right, but a file is no safetensors file, or would run code when unpickled."""
    dataset = platform.scenes(TASK, 40, 10, size=32)
    for name, content in (("model.safetensors", b"nonsense"), ("state.pt", _poison())):
        last = platform.read_json(f"{platform.output(trained)}/checkpoints/last.json")["uri"]
        target = f"{platform.output(platform.new_id())}/checkpoints/00000001"
        uri = copy_checkpoint(platform.storage, last, target, name, content)
        _failed(platform.start(TASK, dataset, RESUME_URI=uri, EPOCHS="1"), 4, "MODEL_UNAVAILABLE", "RESUME_URI")
        if name == "model.safetensors":
            _failed(
                platform.start(TASK, dataset, JOB_KIND="predict", MODEL_URI=uri), 4, "MODEL_UNAVAILABLE", "MODEL_URI"
            )
    assert not Path("/tmp/poisoned").exists()


def test_published_weights_out_of_the_store(platform: Platform, trained: int) -> None:
    artifacts = f"{platform.output(trained)}/artifacts"
    weights = platform.storage.read_bytes(f"{artifacts}/model.safetensors")
    config = platform.storage.read_bytes(f"{artifacts}/config.json")
    fewer = platform.scenes(TASK, 20, 10, size=32, digits=[0, 1])
    base = f"s3://{platform.server.bucket}/weights/huggingface"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in (("vit/config.json", config), ("../model.safetensors", weights), ("evil.py", b"1/0")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    broken = load(weights)
    broken.pop(next(name for name in broken if "layernorm_after.weight" in name or "layer_norm2.weight" in name))
    for name, content, exit_code in (
        ("bare.safetensors", weights, 0),
        ("folder.tar", buffer.getvalue(), 0),
        ("missing.safetensors", save(broken), 4),
        ("nonsense.safetensors", b"nonsense", 4),
        ("nonsense.tar", b"nonsense", 4),
    ):
        platform.storage.upload_bytes(content, f"{base}/{name}")
        changes: dict[str, Any] = {"PRETRAINED_URI": f"{base}/{name}", "EPOCHS": "1", "BATCH_SIZE": "8"}
        trainer = platform.start(TASK, fewer, **changes, config={"pretrained": True, "freeze": "backbone"})
        assert trainer.wait() == exit_code, (name, trainer.log)
        if exit_code == 0:
            told = [event["message"] for event in trainer.events_of("log")]
            assert any("starting afresh: classifier.bias, classifier.weight" in message for message in told), told
            result = trainer.events()[-1]["data"]["artifacts"]
            learned = load(platform.storage.read_bytes(result[0]["uri"]))
            before = load(weights)
            # The backbone is frozen, the head is new.
            kept = [key for key in learned if not key.startswith("classifier")]
            assert all(torch.equal(learned[key], before[key]) for key in kept)


def _poison() -> bytes:
    import os
    import pickle

    class Poison:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch /tmp/poisoned",)

    return pickle.dumps({"progress": Poison()})
