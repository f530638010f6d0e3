"""Several processes of one training: they begin together, die together, and say why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.ranks import Ranks

TESTS = Path(__file__).parent


def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids(folder: Path, world: int) -> list[int]:
    """The process ids of the other ranks, once all of them work."""
    files = [folder / f"rank-{rank}" for rank in range(1, world)]
    until(lambda: all(file.exists() for file in files))
    return [int(file.read_text()) for file in files]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


@pytest.fixture
def deaths() -> list[TrainerFailure]:
    return []


def test_ranks_end_when_they_are_closed(tmp_path: Path, deaths: list[TrainerFailure]) -> None:
    ranks = Ranks(3, "rank_work:prepare", deaths.append)
    ranks.send({"folder": str(tmp_path), "mode": "done"})
    found = pids(tmp_path, 3)
    ranks.close()
    assert not any(map(alive, found))
    assert deaths == []
    assert ranks.failure(0) is None


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("invalid", FailureCode.DATASET_INVALID, "train-00000001 is broken."),
        ("bug", FailureCode.FRAMEWORK_ERROR, "RuntimeError: shapes do not fit"),
    ],
)
def test_what_a_rank_died_of_is_told(
    mode: str, code: FailureCode, words: str, tmp_path: Path, deaths: list[TrainerFailure]
) -> None:
    ranks = Ranks(2, "rank_work:prepare", deaths.append)
    ranks.send({"folder": str(tmp_path), "mode": mode})
    failure = ranks.failure(20)
    assert failure is not None
    assert (failure.code, failure.message) == (code, words)
    until(lambda: deaths == [failure])
    ranks.close()


def test_a_rank_that_is_killed_is_named_and_worth_another_try(tmp_path: Path, deaths: list[TrainerFailure]) -> None:
    ranks = Ranks(3, "rank_work:prepare", deaths.append)
    ranks.send({"folder": str(tmp_path), "mode": "wait"})
    found = pids(tmp_path, 3)
    os.kill(found[1], signal.SIGKILL)
    failure = ranks.failure(20)
    assert failure is not None
    assert "Process 3 of the 3 that train together was ended by signal 9" in failure.message
    assert failure.retryable
    ranks.close()
    assert not any(map(alive, found))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ranks_have_no_secrets_and_die_with_their_leader(tmp_path: Path) -> None:
    environment = {**os.environ, "S3_SECRET_ACCESS_KEY": "the-secret-key", "PYTHONPATH": str(TESTS)}
    script = f"import rank_work; rank_work.lead({str(tmp_path)!r})"
    guarded = f"if __name__ == '__main__':\n    {script}\n"
    leader = tmp_path / "leader.py"
    leader.write_text(guarded)
    process = subprocess.Popen([sys.executable, str(leader)], env=environment)
    try:
        found = pids(tmp_path, 3)
        for rank in (1, 2):
            assert b"the-secret-key" not in (tmp_path / f"environ-{rank}").read_bytes()
            assert b"PATH=" in (tmp_path / f"environ-{rank}").read_bytes()
    finally:
        process.kill()
        process.wait(10)
    until(lambda: not any(map(alive, found)))
