"""Stopped, killed and resumed at any step, a training ends in the same bits as one that was left alone."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import Any

from conftest import Jobs
from trainer_process import TrainerProcess
from vision_trainer.storage import Storage

# Dropout draws from torch's generator in every step, random crops from the images' own.
_SETTINGS: dict[str, str | None] = {
    "EPOCHS": "4",
    "BATCH_SIZE": "8",
    "LEARNING_RATE": "0.004",
    "CONFIG_JSON": json.dumps({"image_size": 32, "drop_rate": 0.2, "augmentation": "standard", "horizontal_flip": 0.5}),
}


def test_stopped_then_killed_equals_never_interrupted(jobs: Jobs, storage: Storage) -> None:
    undisturbed_id, job_id = jobs.new_id(), jobs.new_id()
    undisturbed = jobs.start(undisturbed_id, **_SETTINGS)
    assert undisturbed.wait() == 0, undisturbed.log

    first = jobs.start(job_id, **_SETTINGS)
    _wait_for_a_random_step(first)
    first.terminate()
    assert first.wait() == 20, first.log
    stopped = first.events()[-1]
    assert stopped["type"] == "stopped"
    assert stopped["data"]["reason"] == "cancelled"
    assert stopped["data"]["resume_uri"].startswith(jobs.output_uri(job_id) + "/checkpoints/")

    resume_uri = jobs.output_uri(job_id) + "/checkpoints/"
    second = jobs.start(job_id, ATTEMPT="2", RESUME_URI=resume_uri, **_SETTINGS)
    _wait_for_a_random_step(second)
    second.process.send_signal(signal.SIGUSR1)
    second.wait_until(lambda trainer: bool(trainer.events_of("checkpoint")))
    second.kill()

    third = jobs.start(job_id, ATTEMPT="3", RESUME_URI=resume_uri, **_SETTINGS)
    assert third.wait() == 0, third.log
    assert any("Resumed at epoch" in event["message"] for event in third.events_of("log"))

    assert _weights(third) == _weights(undisturbed)
    assert _history(storage, jobs, job_id) == _history(storage, jobs, undisturbed_id)


def _wait_for_a_random_step(trainer: TrainerProcess) -> None:
    trainer.wait_until(lambda running: bool(running.events_of("progress")))
    time.sleep(random.uniform(0.0, 0.4))


def _weights(trainer: TrainerProcess) -> str:
    """The sha256 of the best weights."""
    artifacts = trainer.events_of("succeeded")[0]["artifacts"]
    return str(next(artifact["sha256"] for artifact in artifacts if artifact["name"] == "model.safetensors"))


def _history(storage: Storage, jobs: Jobs, job_id: int) -> list[dict[str, Any]]:
    """All epochs' metrics to the last bit, without the one that measures time."""
    rows = json.loads(storage.read_bytes(f"{jobs.output_uri(job_id)}/artifacts/history.json"))
    return [{name: value for name, value in row.items() if name != "perf/samples_per_s"} for row in rows]
