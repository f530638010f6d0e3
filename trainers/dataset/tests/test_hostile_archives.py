"""Every hostile archive is refused with its code, nothing is written outside the work folder, memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from case_list import CaseList
from faulty_coco import coco_mistakes
from faulty_others import other_mistakes
from faulty_rows import row_mistakes
from hostile_archives import hostile_archives

BOMBS = CaseList()
for mistakes in (coco_mistakes, row_mistakes, other_mistakes):
    mistakes(BOMBS)
BOMBS = CaseList(
    {name: case for name, case in BOMBS.items() if case.code in ("ANNOTATION_BOMB", "ANNOTATION_TOO_LARGE")}
)
# Name → (task, expected code, maker): archives that are hostile as such, and hostile annotations.
CORPUS = {name: ("image_classification", code, make) for name, (code, make) in hostile_archives().items()}
CORPUS |= {name: (case.task, case.code, case.make) for name, case in BOMBS.items()}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("corpus")
    work = tmp_path_factory.mktemp("work")
    for number, (task, _, make) in enumerate(CORPUS.values()):
        (folder / f"{number:03d}.{task}.zip").write_bytes(make())
    command = [sys.executable, str(Path(__file__).with_name("refusal_run.py")), str(folder), str(work)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


@pytest.mark.parametrize(("number", "name"), list(enumerate(CORPUS)), ids=list(CORPUS))
def test_is_refused_with_its_code(run: dict[str, Any], number: int, name: str) -> None:
    task, code, _ = CORPUS[name]
    answer = run["answers"][f"{number:03d}.{task}"]
    assert answer["refused"]
    assert code in answer["codes"]


def test_nothing_is_written_outside_the_work_folder(run: dict[str, Any]) -> None:
    assert run["outside"] == []


def test_memory_stays_bounded(run: dict[str, Any]) -> None:
    assert run["peak_bytes"] < 256 << 20
