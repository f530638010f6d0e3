"""Several processes train one repository, where its manifest says how: the reference, by TCP as torchrun has it."""

from __future__ import annotations

import io
import json
import os
import signal
from typing import Any

import numpy as np
import pytest
from trainer_process import TrainerProcess

from conftest import Jobs
from custom_trainer.manifest_file import load_ready, ready_manifests

_REFERENCE = {"MODEL_NAME": "reference", "EPOCHS": "3", "NUM_PROCESSES": "2"}


def weights(jobs: Jobs, job_id: int) -> dict[str, np.ndarray]:
    """The last checkpoint's own file."""
    folder = json.loads(jobs.storage.read_bytes(f"{jobs.output_uri(job_id)}/checkpoints/last.json"))["uri"]
    index = json.loads(jobs.storage.read_bytes(f"{folder}/files.json"))
    name = next(entry["name"] for entry in index["files"] if entry["role"] == "last")
    with np.load(io.BytesIO(jobs.storage.read_bytes(f"{folder}/{name}")), allow_pickle=False) as data:
        return {key: data[key] for key in ("w", "b")}


def start(jobs: Jobs, job_id: int, pause: float = 0.0, **changes: str) -> TrainerProcess:
    """A training of the reference model."""
    settings: dict[str, Any] = {**_REFERENCE, "CONFIG_JSON": json.dumps({"pause": pause}), **changes}
    return jobs.start(job_id, **settings)


def test_two_processes_train_to_the_same(jobs: Jobs) -> None:
    alone, together = jobs.new_id(), jobs.new_id()
    one = start(jobs, alone, NUM_PROCESSES="1")
    two = start(jobs, together)
    assert one.wait() == 0, one.log
    assert two.wait() == 0, two.log
    assert two.events_of("started")[0]["world_size"] == 2
    assert two.events_of("succeeded")[0]["metrics"]["val/top1"] >= 0.85
    mine, theirs = weights(jobs, alone), weights(jobs, together)
    # Other sums of the same numbers: the last bits differ.
    assert all(np.allclose(mine[name], theirs[name], rtol=0, atol=1e-5) for name in mine)
    # Rank 0 alone is heard.
    told = [(event["epoch"], event["split"]) for event in two.events_of("metrics") if event["scope"] == "epoch"]
    assert len(told) == len(set(told)) == 6
    assert {event["code"] for event in two.events_of("warning")} <= {"no_progress"}
    assert two.left_behind() == []


def test_two_processes_stop_together_and_go_on_to_the_bit(jobs: Jobs) -> None:
    undisturbed_id, job_id = jobs.new_id(), jobs.new_id()
    undisturbed = start(jobs, undisturbed_id)
    first = start(jobs, job_id, 0.03)
    first.wait_until(lambda trainer: bool(trainer.events_of("checkpoint")))
    os.killpg(first.process.pid, signal.SIGTERM)
    assert first.wait(30) == 20, first.log
    second = start(jobs, job_id, 0.03, ATTEMPT="2", RESUME_URI=f"{jobs.output_uri(job_id)}/checkpoints/")
    assert second.wait() == 0, second.log
    assert undisturbed.wait() == 0, undisturbed.log
    resumed, expected = weights(jobs, job_id), weights(jobs, undisturbed_id)
    assert all(np.array_equal(resumed[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # The sample repository's own manifest says nothing about processes.
        ({"MODEL_NAME": "repository", "CONFIG_JSON": ""}, "does not say how several processes train together"),
        ({"BATCH_SIZE": "31"}, "BATCH_SIZE"),
        ({"DEVICE": "cuda"}, "at most the number of GPUs"),
    ],
)
def test_impossible_numbers_of_processes_are_refused(jobs: Jobs, changes: dict[str, Any], words: str) -> None:
    if changes.get("CONFIG_JSON") == "":
        trainer = jobs.start(NUM_PROCESSES="2")
    else:
        trainer = start(jobs, jobs.new_id(), **changes)
    assert trainer.wait() == 2, trainer.log
    assert words in trainer.events_of("failed")[0]["message"]


def test_a_manifest_that_starts_processes_says_how() -> None:
    """Who claims several processes names their number in train and in resume."""
    for name in ready_manifests():
        manifest = load_ready(name).manifest
        if manifest.resources.processes == "one":
            continue
        for command in (manifest.commands.named("train"), manifest.commands.named("resume")):
            assert command is not None and "${num_processes}" in str(command.argv), name
