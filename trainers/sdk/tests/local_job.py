"""A TrainerJob inside the test's own process, with a real storage and events that go to a file."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from real_services import S3Server
from trainer_process import job_environment

from vision_trainer.environment import TrainerEnvironment
from vision_trainer.event_sinks import StdoutSink
from vision_trainer.events import EventPublisher
from vision_trainer.heartbeat import Heartbeat
from vision_trainer.result import ResultWriter
from vision_trainer.run import TrainerJob
from vision_trainer.signals import StopController
from vision_trainer.storage import Storage


class LocalJob:
    """What a trainer's main is given, and what came of it. `changes` are variables of the contract."""

    def __init__(self, server: S3Server, folder: Path, config: dict[str, Any] | None = None, **changes: str) -> None:
        self._events_path = folder / "events"
        self.output_uri = f"s3://{server.bucket}/jobs/{secrets.token_hex(6)}"
        variables = {"OUTPUT_URI": f"{self.output_uri}/", "CONFIG_JSON": json.dumps(config or {}), **changes}
        environ = job_environment(server.environment(), 5, f"s3://{server.bucket}/d/", server.bucket, **variables)
        env = TrainerEnvironment.from_environ(environ)
        self.storage: Storage = server.storage()
        work_dir = folder / "work"
        work_dir.mkdir()
        events = EventPublisher(StdoutSink(self._events_path.open("w")))
        self.job = TrainerJob(
            env=env,
            events=events,
            storage=self.storage,
            stop=StopController(max_runtime_s=None, grace_s=30, reason_file=None),
            heartbeat=Heartbeat(events, 3600),
            result=ResultWriter(self.storage, env),
            work_dir=work_dir,
            cache_dir=folder / "cache",
            versions={"python": "3"},
        )

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of one type, after everything that waits is out."""
        assert self.job.events.flush(10)
        lines = self._events_path.read_text().splitlines()
        events = [json.loads(line.removeprefix("@event ")) for line in lines]
        return [event["data"] for event in events if event["type"] == kind]

    def read(self, name: str) -> bytes:
        """An object below OUTPUT_URI."""
        return self.storage.read_bytes(f"{self.output_uri}/{name}")

    def stored(self) -> list[str]:
        """The names of all objects below OUTPUT_URI."""
        return sorted(uri.removeprefix(self.output_uri + "/") for uri, _ in self.storage.list(self.output_uri + "/"))
