"""The three doors an event can leave by. A sink sends numbered events in order and says how far it got."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import Any, Protocol, TextIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from .environment import EventSettings
from .event_queue import NumberedEvent
from .failures import AttemptReplaced

_CONNECT_TIMEOUT_S = 3.0
_ANSWER_TIMEOUT_S = 10.0


class SinkDown(Exception):
    """The sink did not take the events. `acked` is the highest src_seq it surely has, None when unknown.

    With `replay` the sink may have lost what it acknowledged earlier, so the whole ring is sent again.
    """

    def __init__(self, reason: str, *, acked: int | None = None, replay: bool = False) -> None:
        super().__init__(reason)
        self.acked = acked
        self.replay = replay


class EventSink(Protocol):
    """Where numbered events go."""

    def send(self, events: Sequence[NumberedEvent]) -> int:
        """Sends events in order and returns the highest src_seq that arrived without a gap.

        Raises SinkDown to be called again later, AttemptReplaced when a newer attempt owns the job.
        """
        ...

    def close(self) -> None:
        """Gives up the connection."""
        ...


def open_sink(settings: EventSettings, on_cancel: Callable[[], None]) -> EventSink:
    """The sink of EVENTS_MODE. Opens no connection yet. `on_cancel` is called when an answer asks to stop."""
    if settings.mode == "redis":
        return RedisSink(settings)
    if settings.mode == "http":
        return HttpSink(settings, on_cancel)
    return StdoutSink(sys.stdout)


class RedisSink:
    """XADD with explicit ids, by a user that may do little else: only XADD, PING, HELLO and AUTH are ever sent."""

    def __init__(self, settings: EventSettings) -> None:
        self._url = settings.redis_url or ""
        self._stream = settings.stream or ""
        self._client: Any = None
        self._connected_before = False

    def send(self, events: Sequence[NumberedEvent]) -> int:
        """One XADD at a time: in a pipeline a refused event followed by an accepted one would be lost for ever."""
        import redis

        acked: int | None = None
        try:
            self._connect()
            for event in events:
                self._add(event)
                acked = event.src_seq
        except (redis.RedisError, OSError) as error:
            lost = isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)
            if lost:
                self.close()
            raise SinkDown(type(error).__name__, acked=acked, replay=lost) from error
        return events[-1].src_seq

    def close(self) -> None:
        """Closes the one connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> None:
        if self._client is not None:
            return
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        # RESP2 and no driver info: HELLO 3's notifications and CLIENT SETINFO would be refused to this user.
        # One connection without silent reconnects, because after each reconnect the ring has to be sent again.
        self._client = Redis.from_url(
            self._url,
            protocol=2,
            driver_info=None,
            single_connection_client=True,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            socket_timeout=_ANSWER_TIMEOUT_S,
            socket_keepalive=True,
        )

    def _add(self, event: NumberedEvent) -> None:
        from redis import ResponseError

        try:
            self._client.execute_command("XADD", self._stream, f"{event.src_seq}-0", "e", event.body)
        except ResponseError as error:
            if "equal or smaller" not in str(error):
                raise


class HttpSink:
    """POST to the gateway's trainer door; the answer `{acked, cancel}` tells where to go on, and whether to stop."""

    def __init__(self, settings: EventSettings, on_cancel: Callable[[], None]) -> None:
        base = (settings.callback_url or "").rstrip("/")
        self._base = f"{base}/v1/jobs/{settings.job_id}"
        self._token = settings.callback_token or ""
        self._on_cancel = on_cancel

    def send(self, events: Sequence[NumberedEvent]) -> int:
        """Sends one numbered batch to /event; the terminal event travels alone, to /done."""
        terminal = events[-1] if events[-1].terminal else None
        batch = events[:-1] if terminal else events
        acked = events[0].src_seq - 1
        if batch:
            acked = self._post("event", '{"events":[' + ",".join(event.body for event in batch) + "]}")
        if terminal and acked >= terminal.src_seq - 1:
            acked = self._post("done", terminal.body)
        return acked

    def close(self) -> None:
        """Nothing to close: every request has its own connection."""

    def _post(self, door: str, body: str) -> int:
        request = Request(  # noqa: S310 - the scheme was checked with the environment
            f"{self._base}/{door}",
            data=body.encode(),
            method="POST",
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        try:
            with urlopen(request, timeout=_ANSWER_TIMEOUT_S) as response:  # noqa: S310
                answer = json.load(response)
                acked = int(answer["acked"])
        except HTTPError as error:
            with error:
                if error.code == 409:
                    raise AttemptReplaced("a newer attempt owns this job") from error
                raise SinkDown(f"HTTP {error.code}") from error
        except (URLError, OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            raise SinkDown(type(error).__name__) from error
        if answer.get("cancel"):
            self._on_cancel()
        return acked


class StdoutSink:
    """One line an event with the prefix `@event `, for tests and for launchers that read the pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, events: Sequence[NumberedEvent]) -> int:
        """Writes and flushes the lines."""
        try:
            self._stream.write("".join(f"@event {event.body}\n" for event in events))
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise SinkDown(type(error).__name__) from error
        return events[-1].src_seq

    def close(self) -> None:
        """The process's stdout stays open."""
