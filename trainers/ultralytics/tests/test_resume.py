# SPDX-License-Identifier: AGPL-3.0-only
"""Stopped, killed and resumed at any step, a training ends in the same bits as one that was left alone."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import Any

import pytest
from conftest import Datasets, Jobs
from trainer_process import TrainerProcess

# Everything that draws random numbers: mosaic, mixing, colours, crops, sizes, dropout.
_BOXES = {
    "augmentation": "standard",
    "mixup": 0.3,
    "multi_scale": 0.3,
    "horizontal_flip": 0.5,
    "close_mosaic": 2,
    "grad_accumulation": 2,
    "optimizer": "SGD",
    "ema_decay": 0.99,
}
_CLASSES = {"augmentation": "standard", "dropout": 0.2, "horizontal_flip": 0.5, "grad_accumulation": 2}


@pytest.mark.parametrize(
    ("task", "config"), [("object_detection", _BOXES), ("image_classification", _CLASSES)], ids=["boxes", "classes"]
)
def test_stopped_then_killed_equals_never_interrupted(
    jobs: Jobs, datasets: Datasets, task: str, config: dict[str, Any]
) -> None:
    dataset = datasets.overfit(task, 16) if task == "object_detection" else datasets.digits(120, 30)
    changes = {"EPOCHS": "5", "BATCH_SIZE": "2", "LEARNING_RATE": "0.01", "CONFIG_JSON": json.dumps(config)}
    undisturbed_id, job_id = jobs.new_id(), jobs.new_id()
    undisturbed = jobs.start(task, dataset, undisturbed_id, **changes)

    first = jobs.start(task, dataset, job_id, **changes)
    _wait_for_a_random_step(first)
    first.terminate()
    assert first.wait() == 20, first.log
    stopped = first.events()[-1]
    assert stopped["type"] == "stopped"
    assert stopped["data"]["reason"] == "cancelled"
    assert stopped["data"]["resume_uri"].startswith(jobs.output_uri(job_id) + "/checkpoints/")
    assert first.left_behind() == []

    resume_uri = jobs.output_uri(job_id) + "/checkpoints/"
    second = jobs.start(task, dataset, job_id, ATTEMPT="2", RESUME_URI=resume_uri, **changes)
    _wait_for_a_random_step(second)
    second.process.send_signal(signal.SIGUSR1)
    second.wait_until(lambda trainer: bool(trainer.events_of("checkpoint")))
    second.kill()

    third = jobs.start(task, dataset, job_id, ATTEMPT="3", RESUME_URI=resume_uri, **changes)
    assert third.wait() == 0, third.log
    assert any("Resumed at epoch" in event["message"] for event in third.events_of("log"))

    assert undisturbed.wait() == 0, undisturbed.log
    assert _weights(third) == _weights(undisturbed)
    assert _history(jobs, job_id) == _history(jobs, undisturbed_id)


def test_stopped_after_the_last_step_of_an_epoch_its_figures_are_the_same(jobs: Jobs, datasets: Datasets) -> None:
    # One step an epoch, and a long evaluation in which it is stopped.
    dataset = datasets.digits(16, 200)
    config = {"warmup_epochs": 0}
    changes = {"EPOCHS": "4", "BATCH_SIZE": "16", "LEARNING_RATE": "0.01", "CONFIG_JSON": json.dumps(config)}
    undisturbed_id, job_id = jobs.new_id(), jobs.new_id()
    undisturbed = jobs.start("image_classification", dataset, undisturbed_id, **changes)
    assert undisturbed.wait() == 0, undisturbed.log

    first = jobs.start("image_classification", dataset, job_id, **changes)
    first.wait_until(lambda running: bool(running.events_of("progress")))
    first.terminate()
    assert first.wait() == 20, first.log
    resume_uri = first.events()[-1]["data"]["resume_uri"]
    second = jobs.start("image_classification", dataset, job_id, ATTEMPT="2", RESUME_URI=resume_uri, **changes)
    assert second.wait() == 0, second.log
    assert _history(jobs, job_id) == _history(jobs, undisturbed_id)


def _wait_for_a_random_step(trainer: TrainerProcess) -> None:
    trainer.wait_until(lambda running: bool(running.events_of("progress")))
    time.sleep(random.uniform(0.0, 0.4))


def _weights(trainer: TrainerProcess) -> str:
    """The sha256 of the best weights."""
    artifacts = trainer.events_of("succeeded")[0]["artifacts"]
    return str(next(artifact["sha256"] for artifact in artifacts if artifact["name"] == "model.safetensors"))


def _history(jobs: Jobs, job_id: int) -> list[dict[str, Any]]:
    """All epochs' metrics to the last bit, without the one that measures time."""
    rows = jobs.read_json(job_id, "artifacts/history.json")
    return [{name: value for name, value in row.items() if name != "perf/samples_per_s"} for row in rows]
