"""The frame around a trainer, seen from outside: exit codes, terminal events, signals."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from real_services import S3Server
from trainer_process import TRACE_ID, TrainerProcess, job_environment

from vision_trainer import contracts
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.failures import FAILURE_EXIT_CODES, STOP_EXIT_CODES
from vision_trainer.nvml import nvml_probe
from vision_trainer.storage import Storage

TESTS = str(Path(__file__).parent)


def start(
    server: S3Server, folder: Path, config: dict[str, Any] | None = None, **changes: str | None
) -> TrainerProcess:
    storage = server.environment()
    settings = {"PYTHONPATH": TESTS, "CONFIG_JSON": json.dumps(config or {}), "HEARTBEAT_S": "0.1", **changes}
    environment = job_environment(storage, 5, f"s3://{server.bucket}/d/", server.bucket, **settings)
    return TrainerProcess("minimal_trainer", environment, folder)


def test_success_is_one_terminal_event_after_the_result(server: S3Server, storage: Storage, tmp_path: Path) -> None:
    trainer = start(server, tmp_path)
    assert trainer.wait() == 0, trainer.log
    events = trainer.events()
    assert [events[0]["type"], events[1]["type"], events[-1]["type"]] == ["started", "phase", "succeeded"]
    result = storage.read_bytes(f"s3://{server.bucket}/jobs/5/RESULT.json")
    assert contracts.TrainerResult.model_validate_json(result).status == "succeeded"
    assert all(json.loads(line)["trace_id"] == TRACE_ID for line in trainer.log.splitlines())
    assert trainer.left_behind() == []


def test_an_unforeseen_error_is_a_bug_with_a_trace_and_without_secrets(server: S3Server, tmp_path: Path) -> None:
    trainer = start(server, tmp_path, {"mode": "bug"})
    assert trainer.wait() == 70
    failed = trainer.events()[-1]
    assert failed["data"]["code"] == "TRAINER_BUG"
    assert "minimal_trainer.py" in failed["data"]["trace_tail"]
    assert server.secret_access_key not in json.dumps(trainer.events()) + trainer.log
    assert "[secret]" in failed["data"]["message"]


def test_third_party_code_finds_no_secret_in_the_environment(server: S3Server, tmp_path: Path) -> None:
    trainer = start(server, tmp_path, {"mode": "environment"}, CALLBACK_TOKEN="token", MINIO_SECRET_KEY="x")
    assert trainer.wait() == 0
    names = trainer.events_of("log")[0]["message"].split()
    assert "JOB_ID" in names
    assert not [name for name in names if "SECRET" in name or "TOKEN" in name or "ACCESS_KEY" in name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"EPOCHS": "none"}, "EPOCHS"),
        ({"JOB_KIND": "export"}, "JOB_KIND"),
        ({"S3_ENDPOINT": None}, "S3_ENDPOINT"),
    ],
)
def test_a_bad_variable_is_exit_2_and_an_event(
    server: S3Server, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    trainer = start(server, tmp_path, **changes)
    assert trainer.wait() == 2
    assert [event["type"] for event in trainer.events()] == ["failed"]
    assert trainer.events()[0]["data"]["message"].startswith(words)
    assert words in trainer.log


@pytest.mark.parametrize(("written", "reason", "exit_code"), [(None, "cancelled", 20), ("preempted", "preempted", 21)])
def test_sigterm_stops_with_the_workers_reason(
    server: S3Server, tmp_path: Path, written: str | None, reason: str, exit_code: int
) -> None:
    file = tmp_path / "reason"
    trainer = start(server, tmp_path, {"mode": "wait"}, STOP_REASON_FILE=str(file))
    trainer.wait_until(lambda running: bool(running.events_of("heartbeat")))
    trainer.process.send_signal(signal.SIGUSR1)
    trainer.wait_until(lambda running: bool(running.events_of("log")))
    if written:
        file.write_text(written)
    trainer.terminate()
    assert trainer.wait() == exit_code
    assert trainer.events()[-1]["data"] == {"reason": reason, "resume_uri": None}


def test_the_second_sigterm_ends_at_once(server: S3Server, tmp_path: Path) -> None:
    trainer = start(server, tmp_path, {"mode": "wait", "slow": 60})
    trainer.wait_until(lambda running: any(phase["name"] == "training" for phase in running.events_of("phase")))
    trainer.terminate()
    time.sleep(0.2)
    trainer.terminate()
    assert trainer.wait(10) == 128 + signal.SIGTERM


def test_its_own_clock_ends_a_job_that_takes_too_long(server: S3Server, tmp_path: Path) -> None:
    trainer = start(server, tmp_path, {"mode": "wait"}, MAX_RUNTIME_S="0.3")
    assert trainer.wait() == 22
    assert trainer.events()[-1]["data"]["reason"] == "timeout"


def test_exit_codes_are_those_of_the_contract() -> None:
    assert sorted([*FAILURE_EXIT_CODES.values(), *STOP_EXIT_CODES.values()]) == [2, 3, 4, 5, 10, 11, 12, 20, 21, 22, 70]


def test_libraries_keep_quiet_and_stay_inside_of_the_job(server: S3Server, tmp_path: Path) -> None:
    trainer = start(server, tmp_path, {"mode": "values"}, NUM_PROCESSES="2", OMP_NUM_THREADS=None, HF_HOME="/elsewhere")
    assert trainer.wait() == 0, trainer.log
    values = json.loads(trainer.events_of("log")[0]["message"])
    assert int(values["OMP_NUM_THREADS"]) == max(1, available_cpus() // 2)
    assert (values["ORT_DISABLE_TELEMETRY"], values["HF_HUB_OFFLINE"]) == ("1", "1")
    for name in ("HF_HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR"):
        assert "job-5-a1-" in values[name]
    assert trainer.events_of("started")[0]["world_size"] == 2


def test_more_artifacts_than_an_event_holds(server: S3Server, storage: Storage, tmp_path: Path) -> None:
    trainer = start(server, tmp_path, {"mode": "artifacts"})
    assert trainer.wait() == 0, trainer.log
    named = [artifact["name"] for artifact in trainer.events_of("succeeded")[0]["artifacts"]]
    assert named[0] == "summary.json"
    assert 10 < len(named) < 121
    result = storage.read_bytes(f"s3://{server.bucket}/jobs/5/RESULT.json")
    assert len(contracts.TrainerResult.model_validate_json(result).artifacts) == 121


def test_no_probe_where_there_is_no_such_gpu() -> None:
    assert nvml_probe((63,)) is None


def test_cpus_are_counted_by_quota(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup/jobs/one"
    group.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/jobs/one\n")
    (group / "cpu.max").write_text("max 100000\n")
    unlimited = available_cpus(tmp_path)
    assert unlimited >= 1
    (group.parent / "cpu.max").write_text("50000 100000\n")
    assert available_cpus(tmp_path) == 1
