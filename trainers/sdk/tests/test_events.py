"""The publisher against a real Redis with a real, narrow user, and against a real HTTP door."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from real_services import OwnRedis
from redis import Redis

from vision_trainer import contracts
from vision_trainer.environment import EventSettings
from vision_trainer.event_encoding import MAX_EVENT_BYTES, encode_event
from vision_trainer.event_sinks import open_sink
from vision_trainer.events import EventPublisher


class Streams:
    """Makes streams with a user that may do nothing but XADD to one of them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.admin: Redis = Redis.from_url(url, decode_responses=True)

    def open(self) -> EventSettings:
        name = f"vp-job-{secrets.token_hex(4)}"
        stream = f"vp:in:{{{name}}}:a1"
        rules = ["reset", "on", ">word", f"~{stream}", "-@all", "+xadd", "+ping", "+hello", "+auth"]
        self.admin.execute_command("ACL", "SETUSER", name, *rules)  # type: ignore[no-untyped-call]
        url = f"redis://{name}:word@{urlsplit(self._url).netloc.rpartition('@')[2]}/0"
        return EventSettings(mode="redis", job_id=1, attempt=1, redis_url=url, stream=stream)

    def read(self, settings: EventSettings) -> list[dict[str, Any]]:
        entries: Any = self.admin.xrange(settings.stream or "")
        events = [json.loads(fields["e"]) for _, fields in entries]
        assert [entry for entry, _ in entries] == [f"{event['src_seq']}-0" for event in events]
        return events


@pytest.fixture
def streams(redis_url: str) -> Streams:
    return Streams(redis_url)


def publisher_for(settings: EventSettings, **options: Any) -> EventPublisher:
    cancelled = options.pop("cancelled", threading.Event())
    return EventPublisher(open_sink(settings, on_cancel=cancelled.set), **options)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["src_seq"] for event in events]


def test_a_user_that_may_only_add_is_enough(streams: Streams) -> None:
    settings = streams.open()
    events = publisher_for(settings)
    events.phase("preparing")
    events.publish("metrics", {"scope": "epoch", "split": "val", "epoch": 1, "step": 9, "values": {"val/loss": 0.5}})
    events.publish("succeeded", {"metrics": {}, "artifacts": []})
    events.publish("log", {"level": "info", "message": "after the end"})
    assert events.close(10)
    seen = streams.read(settings)
    assert [event["type"] for event in seen] == ["phase", "metrics", "succeeded"]
    for event in seen:
        contracts.TrainerEvent.model_validate_json(json.dumps(event))


def test_step_events_are_coalesced_and_publishing_is_cheap(streams: Streams) -> None:
    settings = streams.open()
    events = publisher_for(settings)
    started = time.perf_counter()
    for step in range(2000):
        progress = {"epoch": 1, "epochs": 1, "step": step, "steps": 2000, "pct": 1, "eta_s": 1, "samples_per_s": 1}
        events.publish("progress", progress)
    print(f"{(time.perf_counter() - started) / 2000 * 1e6:.0f} us a publish")
    assert events.close(10)
    seen = streams.read(settings)
    assert seen[-1]["data"]["step"] == 1999
    assert len(seen) <= 2 + 2 * (time.perf_counter() - started)


def test_what_is_not_finite_is_null_with_one_warning_and_long_texts_are_cut(streams: Streams) -> None:
    settings = streams.open()
    events = publisher_for(settings, redact=lambda text: text.replace("hunter2", "[secret]"))
    for _ in range(3):
        values = {"train/loss": float("nan"), "train/lr": float("inf")}
        events.publish("metrics", {"scope": "epoch", "split": "train", "epoch": 1, "step": 1, "values": values})
    events.log("error", "hunter2 " + "é" * 50_000)
    with pytest.raises(ValueError, match="not an event type"):
        events.publish("gossip", {})
    with pytest.raises(ValueError, match="level"):
        events.log("loud", "x")
    assert events.close(10)
    seen = streams.read(settings)
    assert [event["data"]["code"] for event in seen if event["type"] == "warning"] == ["non_finite_value"]
    assert seen[1]["data"]["values"] == {"train/loss": None, "train/lr": None}
    assert seen[-1]["data"]["message"].startswith("[secret] é")
    assert all(len(json.dumps(event, ensure_ascii=False).encode()) <= MAX_EVENT_BYTES for event in seen)


def test_a_redis_that_dies_and_returns_loses_nothing(tmp_path: Path) -> None:
    server = OwnRedis(tmp_path)
    server.start()
    settings = EventSettings(mode="redis", job_id=1, attempt=1, redis_url=server.url, stream="s")
    events = publisher_for(settings)
    try:
        for number in range(20):
            events.log("info", str(number))
        assert events.flush(10)
        server.stop()
        for number in range(20, 40):
            events.log("info", str(number))
        assert not events.flush(0.3)
        server.start()
        # What a server with a slower disk forgets in a crash is sent again, because the whole ring is.
        with Redis.from_url(server.url) as admin:
            admin.delete("s")
        events.publish("stopped", {"reason": "cancelled", "resume_uri": None})
        assert events.close(20)
        with Redis.from_url(server.url, decode_responses=True) as admin:
            entries: Any = admin.xrange("s")
        seen = [json.loads(fields["e"]) for _, fields in entries]
        assert numbers(seen) == list(range(1, 42))
        assert [event["data"]["message"] for event in seen[:-1]] == [str(number) for number in range(40)]
    finally:
        server.stop()


class Door(ThreadingHTTPServer):
    """The gateway's door for trainers, with the faults a test asks for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.accepted: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.failures = 0
        self.replaced = False
        self.cancel = False


class _Handler(BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        door = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        door.paths.append(self.path)
        if self.headers["Authorization"] != "Bearer a.b.c":
            return self._answer(401, {})
        if door.replaced:
            return self._answer(409, {})
        if door.failures > 0:
            door.failures -= 1
            return self._answer(503, {})
        for event in body.get("events", [body]):
            if event["src_seq"] == len(door.accepted) + 1:
                door.accepted.append(event)
        return self._answer(200, {"acked": len(door.accepted), "cancel": door.cancel})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name http.server uses
        """Silence."""


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as door:
        threading.Thread(target=door.serve_forever, args=(0.01,), daemon=True).start()
        yield door
        door.shutdown()


def http_settings(door: Door) -> EventSettings:
    url = f"http://127.0.0.1:{door.server_port}/"
    return EventSettings(mode="http", job_id=6, attempt=1, callback_url=url, callback_token="a.b.c")


def test_http_resends_until_acknowledged_and_ends_at_done(door: Door) -> None:
    door.failures = 3
    events = publisher_for(http_settings(door))
    for number in range(100):
        events.log("info", str(number))
    events.publish("succeeded", {"metrics": {}, "artifacts": []})
    assert events.close(20)
    assert numbers(door.accepted) == list(range(1, 102))
    assert door.paths[-1] == "/v1/jobs/6/done"
    assert set(door.paths[:-1]) == {"/v1/jobs/6/event"}


def test_http_goes_back_to_where_the_gateway_stands(door: Door) -> None:
    events = publisher_for(http_settings(door))
    for number in range(10):
        events.log("info", str(number))
    assert events.flush(10)
    del door.accepted[5:]
    events.log("info", "10")
    deadline = time.monotonic() + 10
    while len(door.accepted) < 11 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert numbers(door.accepted) == list(range(1, 12))
    assert events.close(5)


def test_http_cancel_and_replacement_reach_the_trainer(door: Door) -> None:
    cancelled, replaced = threading.Event(), threading.Event()
    events = publisher_for(http_settings(door), cancelled=cancelled, on_replaced=replaced.set)
    door.cancel = True
    events.log("info", "alive")
    assert cancelled.wait(10)
    door.replaced = True
    events.log("info", "still here")
    assert replaced.wait(10)
    assert events.replaced
    events.close(1)


def test_an_event_is_one_line_of_json_in_the_agreed_form() -> None:
    line = encode_event("phase", "2026-11-21T00:00:00.000Z", 3, {"name": "training"})
    assert json.loads(line) == {
        "v": 1, "type": "phase", "ts": "2026-11-21T00:00:00.000Z", "src_seq": 3, "data": {"name": "training"},
    }  # fmt: skip
