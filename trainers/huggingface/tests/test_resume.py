"""Stopped, killed and resumed at any step, a training ends in the same bits as one that was left alone."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import Any

import pytest
from conftest import Platform
from forked_job import ForkedTrainer

# Dropout, denoising and augmentation are all left to chance; averaged weights and accumulation are there too.
_CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "vit": (
        "image_classification",
        {"train": 96, "val": 24, "size": 32},
        {
            "EPOCHS": "4",
            "BATCH_SIZE": "4",
            "MODEL_NAME": "test_vit",
            "config": {
                "dropout": 0.2,
                "augmentation": "standard",
                "horizontal_flip": 0.5,
                "ema_decay": 0.9,
                "grad_accumulation": 2,
                "class_weights": "balanced",
            },
        },
    ),
    "rtdetr": (
        "object_detection",
        {"train": 24, "val": 4},
        {"EPOCHS": "3", "BATCH_SIZE": "4", "MODEL_NAME": "test_rtdetr", "config": {"horizontal_flip": 0.5}},
    ),
    "blip": (
        "image_captioning",
        {"train": 32, "val": 4, "size": 64},
        {"EPOCHS": "4", "BATCH_SIZE": "4", "MODEL_NAME": "test_blip", "config": {"dropout": 0.1}},
    ),
}


@pytest.mark.parametrize("name", sorted(_CASES))
def test_stopped_then_killed_equals_never_interrupted(platform: Platform, name: str) -> None:
    task, scenes, settings = _CASES[name]
    dataset = platform.scenes(task, **scenes)
    alone_id, job_id = platform.new_id(), platform.new_id()
    alone = platform.start(task, dataset, alone_id, **settings)
    assert alone.wait() == 0, alone.log

    first = platform.start(task, dataset, job_id, **settings)
    _wait_for_a_random_step(first)
    first.terminate()
    assert first.wait() == 20, first.log
    stopped = first.events()[-1]
    assert stopped["type"] == "stopped"
    assert stopped["data"]["reason"] == "cancelled"
    resume_uri = platform.output(job_id) + "/checkpoints/"
    assert stopped["data"]["resume_uri"].startswith(resume_uri)

    second = platform.start(task, dataset, job_id, ATTEMPT="2", RESUME_URI=resume_uri, **settings)
    _wait_for_a_random_step(second)
    second.process.send_signal(signal.SIGUSR1)
    second.wait_until(lambda trainer: bool(trainer.events_of("checkpoint")))
    second.kill()

    third = platform.start(task, dataset, job_id, ATTEMPT="3", RESUME_URI=resume_uri, **settings)
    assert third.wait() == 0, third.log
    assert any("Resumed at epoch" in event["message"] for event in third.events_of("log"))
    assert _weights(third) == _weights(alone)
    assert _history(platform, job_id) == _history(platform, alone_id)


def test_two_processes_train_one_model_and_resume_it(platform: Platform) -> None:
    task, scenes, settings = _CASES["vit"]
    dataset = platform.scenes(task, **scenes)
    settings = {**settings, "NUM_PROCESSES": "2"}
    alone_id, job_id = platform.new_id(), platform.new_id()
    first = platform.start(task, dataset, job_id, **settings)
    _wait_for_a_random_step(first)
    first.terminate()
    assert first.wait() == 20, first.log
    alone = platform.start(task, dataset, alone_id, **settings)
    assert alone.wait() == 0, alone.log
    assert alone.events_of("started")[0]["world_size"] == 2
    second = platform.start(
        task, dataset, job_id, ATTEMPT="2", RESUME_URI=platform.output(job_id) + "/checkpoints/", **settings
    )
    assert second.wait() == 0, second.log
    assert _weights(second) == _weights(alone)
    assert _history(platform, job_id) == _history(platform, alone_id)


def test_the_time_limit_ends_with_a_checkpoint(platform: Platform) -> None:
    task, scenes, settings = _CASES["vit"]
    trainer = platform.start(
        task, platform.scenes(task, **scenes), **{**settings, "EPOCHS": "2000", "MAX_RUNTIME_S": "3"}
    )
    assert trainer.wait() == 22, trainer.log
    assert trainer.events()[-1]["data"]["reason"] == "timeout"
    assert trainer.events()[-1]["data"]["resume_uri"]


def _wait_for_a_random_step(trainer: ForkedTrainer) -> None:
    trainer.wait_until(lambda running: bool(running.events_of("progress")))
    time.sleep(random.uniform(0.0, 0.4))


def _weights(trainer: ForkedTrainer) -> str:
    """The sha256 of the best weights."""
    artifacts = trainer.events_of("succeeded")[0]["artifacts"]
    return str(next(artifact["sha256"] for artifact in artifacts if artifact["name"] == "model.safetensors"))


def _history(platform: Platform, job_id: int) -> list[dict[str, Any]]:
    """All epochs' metrics to the last bit, without the one that measures time."""
    rows = json.loads(platform.storage.read_bytes(f"{platform.output(job_id)}/artifacts/history.json"))
    return [{name: value for name, value in row.items() if name != "perf/samples_per_s"} for row in rows]
