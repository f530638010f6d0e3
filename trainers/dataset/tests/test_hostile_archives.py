"""Every hostile archive is refused with its code, nothing is written outside the work folder, memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hostile_archives import hostile_archives

CORPUS = hostile_archives()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("corpus")
    work = tmp_path_factory.mktemp("work")
    for number, (_, make) in enumerate(CORPUS.values()):
        (folder / f"{number:03d}.zip").write_bytes(make())
    command = [sys.executable, str(Path(__file__).with_name("refusal_run.py")), str(folder), str(work)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


@pytest.mark.parametrize(("number", "name"), list(enumerate(CORPUS)), ids=list(CORPUS))
def test_is_refused_with_its_code(run: dict[str, Any], number: int, name: str) -> None:
    answer = run["answers"][f"{number:03d}"]
    assert answer["refused"]
    assert CORPUS[name][0] in answer["codes"]


def test_nothing_is_written_outside_the_work_folder(run: dict[str, Any]) -> None:
    assert run["outside"] == []


def test_memory_stays_bounded(run: dict[str, Any]) -> None:
    assert run["peak_bytes"] < 256 << 20
