"""Published weights from the platform's own store."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import timm
import torch
from conftest import Jobs
from local_job import LocalJob
from safetensors.torch import load, save
from vision_trainer.failures import TrainerFailure
from vision_trainer.storage import Storage

from timm_trainer.pretrained import load_pretrained


def _weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    source = timm.create_model("test_resnet", num_classes=3)
    return {name: value.contiguous() for name, value in source.state_dict().items()}


def _stored(storage: Storage, jobs: Jobs, name: str, content: bytes) -> str:
    uri = f"s3://{jobs.server.bucket}/weights/timm/{name}"
    storage.upload_bytes(content, uri)
    return uri


def _pickled(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_weights_in_the_store_are_a_start_and_the_head_is_new(jobs: Jobs, storage: Storage, kind: str) -> None:
    content = save(_weights()) if kind == "safetensors" else _pickled({"state_dict": _weights(), "epoch": 3})
    uri = _stored(storage, jobs, f"test_resnet.{kind}", content)
    # Frozen, what was loaded is still there afterwards, batch statistics included.
    trainer = jobs.start(
        EPOCHS="1",
        PRETRAINED_URI=uri,
        CONFIG_JSON='{"image_size": 32, "pretrained": true, "freeze": "backbone", "ema_decay": 0}',
    )
    assert trainer.wait() == 0, trainer.log
    told = [event["message"] for event in trainer.events_of("log")]
    assert any("starting afresh: fc.weight, fc.bias" in message for message in told), told
    found = load(jobs.artifact(trainer, storage, "model.safetensors"))
    for name, value in _weights().items():
        if not name.startswith("fc."):
            assert torch.equal(found[name], value), name


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("garbage.safetensors", b"this is no file of weights", "not a file of weights"),
        ("whole_model.pth", _pickled(torch.nn.Linear(2, 2)), "not a file of weights"),
        ("another.safetensors", save({"conv1.weight": torch.zeros(3)}), "another model"),
    ],
)
def test_what_is_no_start_is_refused(
    jobs: Jobs, storage: Storage, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    uri = _stored(storage, jobs, name, content)
    local = LocalJob(jobs.server, tmp_path, PRETRAINED_URI=uri)
    with pytest.raises(TrainerFailure, match=words) as raised:
        load_pretrained(local.job, timm.create_model("test_resnet", num_classes=3), uri)
    assert raised.value.code == "MODEL_UNAVAILABLE"
    assert list(local.job.work_dir.iterdir()) == []


def test_weights_that_changed_in_the_store_are_refused(jobs: Jobs, storage: Storage, tmp_path: Path) -> None:
    uri = f"s3://{jobs.server.bucket}/weights/timm/damaged.safetensors"
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    storage._s3.put_object(Bucket=bucket, Key=key, Body=save(_weights()), Metadata={"sha256": "0" * 64})
    local = LocalJob(jobs.server, tmp_path, PRETRAINED_URI=uri)
    with pytest.raises(TrainerFailure, match="damaged"):
        load_pretrained(local.job, timm.create_model("test_resnet", num_classes=3), uri)
