"""Ways to break the contract on purpose (config.lies): the conformance kit must catch each of them.

Without lies nothing here does anything: `install` is not called and `told` is always False. An author reads on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vision_trainer import event_queue, events, heartbeat, result, run, signals, storage
from vision_trainer.event_queue import NumberedEvent
from vision_trainer.event_sinks import EventSink
from vision_trainer.failures import StopReason
from vision_trainer.run import TrainerJob

_told: frozenset[str] = frozenset()
_FLOOD_EVENTS = 400


def told(lie: str) -> bool:
    """Whether the script asks for this lie."""
    return lie in _told


def install(lies: list[str]) -> None:
    """Bends the kit, before it starts, so that the trainer breaks the contract in the ways that are asked for."""
    global _told  # noqa: PLW0603 - one process is one job
    _told = frozenset(lies)
    for lie, bend in _BENDS.items():
        if told(lie):
            bend()
    opened = vars(run)["open_sink"]
    vars(run)["open_sink"] = lambda settings, on_cancel: _LyingSink(opened(settings, on_cancel))


def begin(job: TrainerJob) -> None:
    """What is done wrong once the job runs."""
    secret = job.env.storage.secret_access_key
    if told("print_secret"):
        print(f"connecting with {secret}", file=sys.stderr, flush=True)
    if told("child_with_secrets"):
        environment = {"PATH": os.environ["PATH"], "S3_SECRET_ACCESS_KEY": secret}
        # It reads from us until we are gone, and is no process left behind.
        subprocess.Popen(["cat"], env=environment, stdin=subprocess.PIPE)  # noqa: S607
    if told("write_outside"):
        # /tmp by its name: TMPDIR is where a job may write.
        Path("/tmp/stub-trainer-was-here").write_text("outside")  # noqa: S108
    if told("leave_file"):
        Path(tempfile.mkdtemp(prefix="left-")).joinpath("file").write_text("left")
    if told("leave_process"):
        subprocess.Popen(["sleep", "60"], start_new_session=True)  # noqa: S607


class _LyingSink:
    """Changes what is sent, between the publisher and the real door."""

    def __init__(self, inner: EventSink) -> None:
        self._inner = inner
        self._added = 0

    def send(self, numbered: Sequence[NumberedEvent]) -> int:
        out = [event for honest in numbered for event in self._twist(honest)]
        if out:
            self._inner.send(out)
        return numbered[-1].src_seq

    def close(self) -> None:
        self._inner.close()

    def _twist(self, event: NumberedEvent) -> Iterator[NumberedEvent]:
        body: dict[str, Any] = json.loads(event.body)
        if told("not_started") and event.type == "started":
            self._added -= 1
            return
        if told("skip_a_number") and event.type == "checkpoint" and self._added == 0:
            self._added += 1
        if told("flood") and event.type == "progress" and self._added == 0:
            for _ in range(_FLOOD_EVENTS):
                yield self._as(event, body)
                self._added += 1
        yield self._as(event, _bent(body))
        if told("repeat_a_number") and event.type == "checkpoint":
            yield self._as(event, body)
        if event.terminal and (told("late_event") or told("second_terminal")):
            self._added += 1
            late = {**body, "type": "log", "data": {"level": "info", "message": "one more thing"}}
            yield self._as(event, late if told("late_event") else body)

    def _as(self, event: NumberedEvent, body: dict[str, Any]) -> NumberedEvent:
        number = event.src_seq + self._added
        return NumberedEvent(number, body["type"], json.dumps({**body, "src_seq": number}))


def _bent(body: dict[str, Any]) -> dict[str, Any]:
    """The event with its data changed."""
    data = dict(body["data"])
    kind = body["type"]
    if told("unknown_level") and kind == "phase":
        return {**body, "type": "log", "data": {"level": "loud", "message": "x"}}
    if told("oversized_event") and kind == "phase":
        return {**body, "type": "log", "data": {"level": "info", "message": "x" * 7000, "more": "y" * 12000}}
    if kind == "metrics" and told("unknown_metric"):
        data["values"] = {**data["values"], "my accuracy": 1.0}
    if kind in ("metrics", "succeeded") and told("no_primary_metric"):
        field = "values" if kind == "metrics" else "metrics"
        data[field] = {name: value for name, value in data[field].items() if name != "val/top1"}
    if kind == "succeeded" and data["artifacts"]:
        first, *others = data["artifacts"]
        if told("missing_artifact"):
            first = {**first, "uri": first["uri"] + ".gone"}
        if told("wrong_hash"):
            first = {**first, "sha256": "0" * 64}
        data["artifacts"] = [first, *others]
    return {**body, "data": data}


def _ignore_signal(name: str) -> Callable[[], None]:
    def bend() -> None:
        honest = signals.StopController.install

        def install_deaf(self: signals.StopController) -> None:
            honest(self)
            signal.signal(signal.Signals[name], signal.SIG_IGN)

        signals.StopController.install = install_deaf  # type: ignore[method-assign]

    return bend


def _ignore_time_limit() -> None:
    honest = signals.StopController.__init__

    def unlimited(self: signals.StopController, **options: Any) -> None:
        honest(self, **{**options, "max_runtime_s": None})

    signals.StopController.__init__ = unlimited  # type: ignore[method-assign]


def _ignore_replacement() -> None:
    signals.StopController.mark_replaced = lambda self: None  # type: ignore[method-assign]


def _wrong_exit_code() -> None:
    run.STOP_EXIT_CODES = dict.fromkeys(StopReason, 0)  # type: ignore[attr-defined]


def _quiet_heart() -> None:
    heartbeat.Heartbeat._run = lambda self: None  # type: ignore[method-assign]


def _block_on_events() -> None:
    """Every event waits for its answer, and the queue lets everything through."""
    honest = events.EventPublisher.publish
    event_queue.STEP_INTERVAL_S = 0.0

    def publish(self: events.EventPublisher, kind: str, data: Any) -> None:
        honest(self, kind, data)
        if threading.current_thread() is threading.main_thread():
            self.flush(30.0)

    events.EventPublisher.publish = publish  # type: ignore[method-assign]


def _accept_damage() -> None:
    """Downloads are believed, whatever their hash."""
    honest = storage.Storage.download

    def download(self: storage.Storage, uri: str, path: Path, *, sha256: str | None = None, **options: Any) -> str:
        found = honest(self, uri, path, **options)
        return sha256 or found

    storage.Storage.download = download  # type: ignore[method-assign]


def _upload_after_result() -> None:
    """RESULT.json is not the last word."""
    honest = result.ResultWriter.write

    def write(self: result.ResultWriter, *arguments: Any, **options: Any) -> None:
        honest(self, *arguments, **options)
        self.put_json("afterthought.json", {})

    result.ResultWriter.write = write  # type: ignore[method-assign]


def _manifest_first() -> None:
    """A checkpoint's manifest goes up before the files it names."""

    def upload_folder(self: storage.Storage, folder: Path, uri: str, *, last: str = "") -> Any:
        files = sorted(folder.iterdir(), key=lambda path: path.name != last)
        return [self.upload_file(path, storage.join_uri(uri, path.name)) for path in files]

    storage.Storage.upload_folder = upload_folder  # type: ignore[method-assign]


_BENDS: dict[str, Callable[[], None]] = {
    "ignore_sigterm": _ignore_signal("SIGTERM"),
    "ignore_sigusr1": _ignore_signal("SIGUSR1"),
    "ignore_time_limit": _ignore_time_limit,
    "ignore_replacement": _ignore_replacement,
    "wrong_exit_code": _wrong_exit_code,
    "quiet_heart": _quiet_heart,
    "block_on_events": _block_on_events,
    "accept_damage": _accept_damage,
    "manifest_first": _manifest_first,
    "upload_after_result": _upload_after_result,
}
