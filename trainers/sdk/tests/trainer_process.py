"""Runs a trainer as the worker does: a process of its own, told everything by its environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def job_environment(
    storage: dict[str, str], job_id: int, dataset_uri: str, bucket: str, **changes: str | None
) -> dict[str, str]:
    """A complete contract environment for a training job; `changes` override, None removes.

    Tables of bad addresses are written before the server is known: there `s3://test-bucket/` stands for its bucket.
    """
    environment: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        "CONTRACT_VERSION": "1",
        "JOB_ID": str(job_id),
        "ATTEMPT": "1",
        "TRACE_ID": TRACE_ID,
        "TRACEPARENT": f"00-{TRACE_ID}-b7ad6b7169203331-01",
        "JOB_KIND": "train",
        "FRAMEWORK": "timm",
        "TASK_TYPE": "image_classification",
        "MODEL_NAME": "test_resnet",
        "DATASET_ID": "1",
        "DATASET_VERSION": "1",
        "DATASET_URI": dataset_uri,
        "OUTPUT_URI": f"s3://{bucket}/jobs/{job_id}/",
        "CONFIG_JSON": "{}",
        "EPOCHS": "2",
        "BATCH_SIZE": "32",
        "LEARNING_RATE": "0.003",
        "SEED": "1",
        "DEVICE": "cpu",
        "EVENTS_MODE": "stdout",
        "HEARTBEAT_S": "5",
        "GRACE_S": "30",
        **storage,
        **changes,
    }
    return {
        name: value.replace("s3://test-bucket/", f"s3://{bucket}/")
        for name, value in environment.items()
        if value is not None
    }


class TrainerProcess:
    """A running trainer; its output goes to files, so that it never waits for us."""

    def __init__(self, module: str, environment: dict[str, str], folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._stdout = self._folder / "stdout"
        self._stderr = self._folder / "stderr"
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module],
                env={**environment, "TMPDIR": str(self._folder)},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self._stderr.read_text()

    def events(self) -> list[dict[str, Any]]:
        """The whole events it wrote to stdout so far."""
        lines = self._stdout.read_text().split("\n")[:-1]
        return [json.loads(line.removeprefix("@event ")) for line in lines if line.startswith("@event ")]

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of one type."""
        return [event["data"] for event in self.events() if event["type"] == kind]

    def wait(self, timeout_s: float = 300.0) -> int:
        """Its exit code. The limit is for what hangs: a busy machine makes any training slow."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the trainer did not end; its log: {self.log[-3000:]}") from None

    def wait_until(self, condition: Callable[[TrainerProcess], bool], timeout_s: float = 180.0) -> None:
        """Waits for something to be seen in its events."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"exit {self.process.returncode}; log: {self.log[-3000:]}")
            time.sleep(0.02)

    def terminate(self) -> None:
        """SIGTERM, as a worker that wants it to stop."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a machine that fails."""
        self.process.kill()
        self.process.wait(10)

    def left_behind(self) -> list[str]:
        """What is left in its temporary directory besides our two files."""
        return sorted(path.name for path in self._folder.iterdir() if path.name not in {"stdout", "stderr"})
