# SPDX-License-Identifier: AGPL-3.0-only
"""Several processes train one model: as gloo on a CPU, which is NCCL's place taken by something every machine has."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Datasets, Jobs
from trainer_process import TrainerProcess

DETECTION, CLASSES = "object_detection", "image_classification"
# Everything that draws random numbers.
_LIVELY: dict[str, Any] = {
    "augmentation": "standard",
    "mixup": 0.3,
    "multi_scale": 0.3,
    "horizontal_flip": 0.5,
    "close_mosaic": 1,
}
# Plain steps: small differences of a sum stay small.
_PLAIN: dict[str, Any] = {
    "optimizer": "SGD",
    "augmentation": "light",
    "warmup_epochs": 0,
    "class_weights": 0.5,
}


@pytest.mark.parametrize("task", [DETECTION, CLASSES])
def test_two_processes_are_one_that_accumulates(jobs: Jobs, datasets: Datasets, task: str) -> None:
    """Halves of a batch, in two processes at once or in one after the other, are the same update of the weights."""
    dataset = datasets.overfit(task, 16) if task == DETECTION else datasets.digits(120, 30)
    whole = 8 if task == DETECTION else 40
    common = {"EPOCHS": "3", "LEARNING_RATE": "0.005"}
    halves = {"BATCH_SIZE": str(whole // 2), "CONFIG_JSON": json.dumps({**_PLAIN, "grad_accumulation": 2})}
    one = jobs.start(task, dataset, None, **common, **halves)
    two = jobs.start(
        task, dataset, None, **common, BATCH_SIZE=str(whole), CONFIG_JSON=json.dumps(_PLAIN), NUM_PROCESSES="2"
    )
    assert one.wait() == 0, one.log
    assert two.wait() == 0, two.log
    assert two.events_of("started")[0]["world_size"] == 2
    assert one.events_of("started")[0]["effective_batch_size"] == whole
    assert two.events_of("started")[0]["effective_batch_size"] == whole
    alone, together = _epochs(one, "train"), _epochs(two, "train")
    assert len(alone) == len(together) == 3
    for before, after in zip(alone, together, strict=True):
        for name in before.keys() - {"perf/samples_per_s"}:
            assert after[name] == pytest.approx(before[name], rel=2e-3), name
    # Told once, by the first process.
    assert len(_epochs(two, "val")) == 3
    assert two.left_behind() == []
    assert _children(two) == []


def test_two_processes_that_are_cancelled_go_on_to_the_bit(jobs: Jobs, datasets: Datasets) -> None:
    dataset, job_id = datasets.overfit(DETECTION, 16), jobs.new_id()
    changes = {
        "NUM_PROCESSES": "2",
        "EPOCHS": "4",
        "BATCH_SIZE": "4",
        "LEARNING_RATE": "0.01",
        "CONFIG_JSON": json.dumps(_LIVELY),
    }
    undisturbed = jobs.start(DETECTION, dataset, None, **changes)
    first = jobs.start(DETECTION, dataset, job_id, **changes)
    first.wait_until(lambda running: bool(running.events_of("progress")))
    # The worker signals the whole group, as here.
    os.killpg(first.process.pid, signal.SIGTERM)
    assert first.wait() == 20, first.log
    assert _children(first) == []

    second = jobs.start(
        DETECTION, dataset, job_id, ATTEMPT="2", RESUME_URI=jobs.output_uri(job_id) + "/checkpoints/", **changes
    )
    assert second.wait() == 0, second.log
    assert any("Resumed at epoch" in event["message"] for event in second.events_of("log"))
    assert undisturbed.wait() == 0, undisturbed.log
    assert _weights(second) == _weights(undisturbed)


def test_a_process_that_dies_ends_the_job_clearly(jobs: Jobs, datasets: Datasets) -> None:
    trainer = jobs.start(
        CLASSES, datasets.digits(120, 30), None, NUM_PROCESSES="2", EPOCHS="1000", LEARNING_RATE="0.001"
    )
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


def test_impossible_numbers_of_processes_are_refused(jobs: Jobs, datasets: Datasets) -> None:
    dataset = datasets.overfit(DETECTION)
    for changes, words in (
        ({"NUM_PROCESSES": "2", "BATCH_SIZE": "3"}, "BATCH_SIZE"),
        ({"NUM_PROCESSES": "2", "DEVICE": "cuda"}, "at most the number of GPUs"),
    ):
        trainer = jobs.start(DETECTION, dataset, None, **changes)
        assert trainer.wait() == 2, trainer.log
        assert words in trainer.events_of("failed")[0]["message"]


def _epochs(trainer: TrainerProcess, split: str) -> list[dict[str, float]]:
    told = trainer.events_of("metrics")
    return [event["values"] for event in told if event["scope"] == "epoch" and event["split"] == split]


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
