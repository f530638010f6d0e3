"""The stub does what its script says, resumes exactly, and its own trainer.json is up to date."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from trainer_process import TrainerProcess
from vision_trainer.storage import Storage

from conftest import Jobs
from stub_trainer.catalogue import TRAINER_JSON, render

SLOW: dict[str, str | None] = {"EPOCHS": "3", "CONFIG_JSON": json.dumps({"steps": 20, "steps_per_s": 25})}


def script(**settings: Any) -> dict[str, str | None]:
    return {"CONFIG_JSON": json.dumps(settings)}


def test_trainer_json_is_what_the_code_says() -> None:
    assert TRAINER_JSON.read_text() == render(), "run python -m stub_trainer.catalogue"


def test_trains_and_says_so_soon(jobs: Jobs, storage: Storage) -> None:
    job_id = jobs.new_id()
    began = time.monotonic()
    trainer = jobs.start(job_id, **script(curves={"val/loss": [3, 2]}))
    trainer.wait_until(lambda running: bool(running.events_of("started")))
    print(f"started after {time.monotonic() - began:.2f} s")
    assert trainer.wait() == 0, trainer.log
    last = trainer.events()[-1]
    assert last["type"] == "succeeded"
    names = {artifact["name"] for artifact in last["data"]["artifacts"]}
    assert names == {"model.safetensors", "labels.json", "history.json", "metrics.jsonl"}
    losses = [event["values"]["val/loss"] for event in trainer.events_of("metrics") if "val/loss" in event["values"]]
    assert losses == [3, 2, 2]
    result = json.loads(storage.read_bytes(f"{jobs.output_uri(job_id)}/RESULT.json"))
    assert result["metrics"] == last["data"]["metrics"]
    assert trainer.left_behind() == []


def test_stopped_and_resumed_equals_undisturbed(jobs: Jobs) -> None:
    undisturbed = jobs.start(**SLOW)
    job_id = jobs.new_id()
    first = jobs.start(job_id, **SLOW)
    first.wait_until(lambda running: len(running.events_of("progress")) >= 3)
    first.terminate()
    assert first.wait() == 20
    resume_uri = f"{jobs.output_uri(job_id)}/checkpoints/"
    second = jobs.start(job_id, ATTEMPT="2", RESUME_URI=resume_uri, **SLOW)
    assert second.wait() == 0, second.log
    assert any("Resumed at epoch" in event["message"] for event in second.events_of("log"))
    assert undisturbed.wait() == 0
    assert hashes(second) == hashes(undisturbed)


def hashes(trainer: TrainerProcess) -> dict[str, str]:
    artifacts = trainer.events_of("succeeded")[0]["artifacts"]
    return {artifact["name"]: artifact["sha256"] for artifact in artifacts}


@pytest.mark.parametrize(
    ("fault", "exit_code", "last"),
    [
        ({"do": "exit", "exit_code": 7}, 7, None),
        ({"do": "kill"}, -9, None),
        ({"do": "fail", "code": "GPU_OUT_OF_MEMORY"}, 11, "GPU_OUT_OF_MEMORY"),
        ({"do": "crash"}, 70, "TRAINER_BUG"),
        ({"do": "non_finite"}, 10, "DIVERGED"),
        ({"do": "torn_checkpoint"}, -9, None),
    ],
)
def test_faults(jobs: Jobs, fault: dict[str, Any], exit_code: int, last: str | None) -> None:
    trainer = jobs.start(**script(read_dataset=False, steps=30, faults=[{"at_step": 4, **fault}]))
    assert trainer.wait() == exit_code, trainer.log
    failures = trainer.events_of("failed")
    assert [failure["code"] for failure in failures] == ([last] if last else [])


def test_a_hang_goes_on_breathing(jobs: Jobs) -> None:
    trainer = jobs.start(HEARTBEAT_S="0.1", **script(read_dataset=False, faults=[{"do": "hang", "at_step": 2}]))
    trainer.wait_until(lambda running: len(running.events_of("heartbeat")) > 5)
    assert len(trainer.events_of("progress")) == 1
    trainer.kill()


def test_faults_of_another_attempt_do_not_happen(jobs: Jobs) -> None:
    fault = {"do": "exit", "at_step": 1, "attempt": 2}
    assert jobs.start(**script(read_dataset=False, faults=[fault])).wait() == 0


def test_evaluates_predicts_and_exports(jobs: Jobs, storage: Storage) -> None:
    job_id = jobs.new_id()
    trained = jobs.start(job_id)
    assert trained.wait() == 0, trained.log
    model = {"MODEL_URI": f"{jobs.output_uri(job_id)}/checkpoints/best.json"}
    metrics = trained.events_of("succeeded")[0]["metrics"]
    running = {kind: jobs.start(JOB_KIND=kind, **model) for kind in ("evaluate", "predict", "export")}
    for trainer in running.values():
        assert trainer.wait() == 0, trainer.log
    told = running["evaluate"].events_of("succeeded")[0]["metrics"]
    assert told == {name: metrics[name] for name in told}
    uri = next(artifact["uri"] for artifact in running["predict"].events_of("succeeded")[0]["artifacts"])
    assert len(storage.read_bytes(uri).splitlines()) == 8


@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        (script(stepps=1), 2, "CONFIG_JSON.stepps"),
        (script(faults=[{"do": "explode"}]), 2, "CONFIG_JSON.faults.0.do"),
        ({"TASK_TYPE": "object_detection"}, 2, "TASK_TYPE"),
        (script(pretrained=True), 4, "add-weights"),
        ({"JOB_KIND": "evaluate"}, 2, "MODEL_URI"),
        ({"JOB_KIND": "export", "MODEL_URI": "s3://test-bucket/none/last.json"}, 4, "MODEL_URI"),
        ({"DATASET_URI": "s3://test-bucket/none/"}, 3, "MANIFEST.json"),
    ],
)
def test_refusals(jobs: Jobs, changes: dict[str, str | None], exit_code: int, words: str) -> None:
    trainer = jobs.start(**changes)
    assert trainer.wait() == exit_code, trainer.log
    assert words in trainer.events_of("failed")[-1]["message"]
    assert trainer.left_behind() == []
