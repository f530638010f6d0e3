"""Several processes train one model: as gloo on a CPU, which is NCCL's place taken by something every machine has."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from conftest import Jobs
from trainer_process import TrainerProcess
from vision_trainer.storage import Storage

_SETTINGS: dict[str, str | None] = {
    "NUM_PROCESSES": "2",
    "EPOCHS": "4",
    "BATCH_SIZE": "16",
    "LEARNING_RATE": "0.006",
    "CONFIG_JSON": json.dumps({"image_size": 32, "drop_rate": 0.2, "augmentation": "strong", "num_workers": 2}),
}


def test_two_processes_learn_the_digits(jobs: Jobs) -> None:
    trainer = jobs.start(
        dataset=jobs.digits.all_uri, NUM_PROCESSES="2", EPOCHS="4", BATCH_SIZE="64", LEARNING_RATE="0.01"
    )
    assert trainer.wait() == 0, trainer.log
    assert trainer.events_of("started")[0]["world_size"] == 2
    metrics = trainer.events_of("succeeded")[0]["metrics"]
    print(metrics)
    assert metrics["val/top1"] >= 0.95
    assert trainer.left_behind() == []
    assert _children(trainer) == []


def test_two_processes_that_are_cancelled_go_on_to_the_bit(jobs: Jobs, storage: Storage) -> None:
    undisturbed_id, job_id = jobs.new_id(), jobs.new_id()
    undisturbed = jobs.start(undisturbed_id, **_SETTINGS)
    assert undisturbed.wait() == 0, undisturbed.log

    first = jobs.start(job_id, **_SETTINGS)
    first.wait_until(lambda running: bool(running.events_of("progress")))
    # The worker signals the whole group, as here.
    os.killpg(first.process.pid, signal.SIGTERM)
    assert first.wait() == 20, first.log
    assert _children(first) == []

    second = jobs.start(job_id, ATTEMPT="2", RESUME_URI=jobs.output_uri(job_id) + "/checkpoints/", **_SETTINGS)
    assert second.wait() == 0, second.log
    assert any("Resumed at epoch" in event["message"] for event in second.events_of("log"))
    assert _weights(second) == _weights(undisturbed)


def test_a_process_that_dies_ends_the_job_clearly(jobs: Jobs) -> None:
    trainer = jobs.start(None, **{**_SETTINGS, "EPOCHS": "1000"})
    trainer.wait_until(lambda running: bool(running.events_of("progress")))
    os.kill(_children(trainer)[0], signal.SIGKILL)
    killed_at = time.monotonic()
    assert trainer.wait(60) == 12, trainer.log
    assert time.monotonic() - killed_at < 30
    failed = trainer.events_of("failed")[0]
    assert "Process 2 of the 2 that train together was ended by signal 9" in failed["message"]
    assert failed["retryable"] is True
    assert trainer.left_behind() == []
    assert _children(trainer) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"BATCH_SIZE": "15"}, "BATCH_SIZE"),
        pytest.param(
            {"DEVICE": "cuda"},
            "NUM_PROCESSES",
            marks=pytest.mark.skipif(torch.cuda.device_count() > 1, reason="this machine has the GPUs"),
        ),
    ],
)
def test_impossible_numbers_of_processes_are_refused(jobs: Jobs, changes: dict[str, str], words: str) -> None:
    trainer = jobs.start(None, **{**_SETTINGS, **changes})
    assert trainer.wait() == 2, trainer.log
    assert words in trainer.events_of("failed")[0]["message"]


def _children(trainer: TrainerProcess) -> list[int]:
    """The ids of the trainer's other ranks, oldest first; found by their process group."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or int(path.name) == trainer.process.pid:
            continue
        try:
            state, _, group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if int(group) == trainer.process.pid and state != "Z" and b"resource_tracker" not in command:
            found.append(int(path.name))
    return sorted(found)


def _weights(trainer: TrainerProcess) -> str:
    artifacts = trainer.events_of("succeeded")[0]["artifacts"]
    return str(next(artifact["sha256"] for artifact in artifacts if artifact["name"] == "model.safetensors"))
