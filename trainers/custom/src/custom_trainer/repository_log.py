"""What the repository prints: all of it in a bounded file, a part of it as log events."""

from __future__ import annotations

import time
from pathlib import Path

from vision_trainer.run import TrainerJob

_LIMIT_BYTES = 32 << 20
# Log events: so many at once, then so many a second.
_BURST, _PER_S = 60.0, 4.0
_LONGEST_MESSAGE = 1000


class RepositoryLog:
    """The file goes up as `attempts/<n>/repository.log`."""

    def __init__(self, job: TrainerJob) -> None:
        self._job = job
        self._path: Path = job.work_dir / "repository.log"
        self._file = self._path.open("wb")
        self._written = 0
        self._tokens = _BURST
        self._refilled = time.monotonic()
        self._held_back = 0

    def note(self, text: str) -> None:
        """A line of our own: what was started."""
        self.raw(text.encode() + b"\n")
        self._job.events.log("info", text[:_LONGEST_MESSAGE])

    def raw(self, piece: bytes) -> None:
        """Output as it comes. Beyond 32 MB nothing more is kept."""
        if self._written < _LIMIT_BYTES and not self._file.closed:
            self._file.write(piece)
            self._written += len(piece)
            if self._written >= _LIMIT_BYTES:
                self._file.write(b"\n[the rest was not kept]\n")

    def publish(self, stream: str, line: str) -> None:
        """A line as a log event, unless there were too many just now."""
        text = "".join(sign for sign in line if sign.isprintable() or sign == "\t").rstrip()
        if not text.strip():
            return
        now = time.monotonic()
        self._tokens = min(_BURST, self._tokens + (now - self._refilled) * _PER_S)
        self._refilled = now
        if self._tokens < 1:
            self._held_back += 1
            return
        self._tokens -= 1
        if self._held_back:
            self._job.events.log("info", f"({self._held_back} lines are only in repository.log)")
            self._held_back = 0
        self._job.events.log("debug" if stream == "stderr" else "info", text[:_LONGEST_MESSAGE])

    def upload(self) -> None:
        """Uploads the file once, where there is anything in it; then it takes nothing in. Raises STORAGE_FAILURE."""
        if self._file.closed:
            return
        self._file.close()
        if self._written:
            self._job.result.add_artifact(
                self._path, "repository.log", folder=f"attempts/{self._job.env.attempt}", media_type="text/plain"
            )
