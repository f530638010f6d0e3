"""Log lines as JSON on stderr in the platform's one format (docs/observability.md), none with a secret."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Redactor:
    """Replaces known secrets in a text."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        # A short value would blot out ordinary words.
        self._secrets = tuple(sorted((secret for secret in secrets if len(secret) >= 6), key=len, reverse=True))

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


LEVELS = {"NOTSET": "debug", "CRITICAL": "error"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, service, logger, message, the job's fields, error where there is one."""

    def __init__(self, fields: dict[str, Any], redact: Callable[[str], str]) -> None:
        super().__init__()
        self._fields = fields
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {
            "time": time,
            "level": LEVELS.get(record.levelname, record.levelname.lower()),
            "service": "trainer",
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields,
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = "".join(traceback.format_exception(record.exc_info[1]))
        return self._redact(json.dumps(line, ensure_ascii=False, default=str))


def configure_logging(fields: dict[str, Any], redact: Callable[[str], str], level: str = "INFO") -> None:
    """Sends all of Python's logging to stderr as JSON lines with `fields` (framework, trace_id, job_id, attempt)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(fields, redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for chatty in ("botocore", "boto3", "s3transfer", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
