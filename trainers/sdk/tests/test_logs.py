"""Log lines of trainers are of the platform's one format (docs/observability.md, services/common/src/log-line.ts)."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from vision_trainer.logs import JsonFormatter, Redactor

FIELDS = {"framework": "stub", "trace_id": "1" * 32, "job_id": 6, "attempt": 2}


def line_of(level: int, message: str, error: BaseException | None = None) -> dict[str, Any]:
    """What the formatter makes of one record."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("stub.train", level, __file__, 1, message, None, exc_info)
    formatter = JsonFormatter(FIELDS, Redactor(("the-secret-key",)))
    line: dict[str, Any] = json.loads(formatter.format(record))
    return line


@pytest.mark.parametrize(
    ("level", "word"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warning"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "error"),
    ],
)
def test_a_line_has_the_fields_of_the_format(level: int, word: str) -> None:
    line = line_of(level, "epoch 1 is done")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": word, "service": "trainer", "logger": "stub.train", "message": "epoch 1 is done", **FIELDS}


def test_an_error_is_one_text_without_secrets() -> None:
    line = line_of(logging.ERROR, "failed", ValueError("no access with the-secret-key"))
    assert "no access with [secret]" in line["error"]
    assert "the-secret-key" not in json.dumps(line)
