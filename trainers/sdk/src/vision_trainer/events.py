"""The event publisher: `publish` costs a dictionary and a lock; a background thread does the rest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .event_encoding import TERMINAL_TYPES, clean_data, now_rfc3339
from .event_queue import EventQueue, EventRing, UnsentEvent
from .event_sinks import EventSink, SinkDown
from .failures import AttemptReplaced

log = logging.getLogger(__name__)

_BATCH_EVENTS = 64
_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0


class EventPublisher:
    """Sends events in the background. A sink that is down never stops the caller.

    `redact` is applied to every string; `on_replaced` is called once when a newer attempt owns the job.
    """

    def __init__(
        self,
        sink: EventSink,
        *,
        redact: Callable[[str], str] = str,
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._sink = sink
        self._redact = redact
        self._on_replaced = on_replaced
        self._queue = EventQueue()
        self._ring = EventRing()
        self._changed = threading.Condition()
        self._flushing = False
        self._closed = False
        self._terminal_offered = False
        self._warned_non_finite = False
        self._backoff_s = 0.0
        self.replaced = False
        self._thread = threading.Thread(target=self._run, name="event-publisher", daemon=True)
        self._thread.start()

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        """Hands over one event. Never blocks on the network.

        `kind` is an event type of the contract. Non-finite numbers become null (warned about once). After a terminal
        event everything else is ignored. Raises TypeError or ValueError for data that is no event.
        """
        cleaned, non_finite = clean_data(kind, data, self._redact)
        event = UnsentEvent(kind, now_rfc3339(), cleaned)
        warn = non_finite and not self._warned_non_finite
        with self._changed:
            if self._terminal_offered or self.replaced:
                return
            if warn:
                self._warned_non_finite = True
                warning = {
                    "code": "non_finite_value",
                    "message": f"A number in {kind} was NaN or infinite; sent as null.",
                }
                self._queue.offer(UnsentEvent("warning", event.ts, warning))
            self._terminal_offered = kind in TERMINAL_TYPES
            self._queue.offer(event)
            self._changed.notify_all()

    def phase(self, name: str, pct: float | None = None) -> None:
        """Publishes what the trainer is busy with: preparing, downloading, training, evaluating, exporting, …"""
        self.publish("phase", {"name": name, "pct": pct})

    def warning(self, code: str, message: str) -> None:
        """Publishes something a person should know that does not end the job."""
        log.warning("%s: %s", code, message)
        self.publish("warning", {"code": code, "message": message})

    def log(self, level: str, message: str) -> None:
        """Publishes one line for the job's log view; level is debug, info, warning or error."""
        self.publish("log", {"level": level, "message": message})

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything has been acknowledged, at most `timeout_s` seconds. Returns whether it was."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._flushing = True
            # The end is near: do not sit out a long pause between two tries.
            self._backoff_s = min(self._backoff_s, 0.2)
            self._changed.notify_all()
            while self._pending() and not self.replaced:
                left = deadline - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    break
                self._changed.wait(left)
            self._flushing = False
            return not self._pending()

    def close(self, timeout_s: float) -> bool:
        """Flushes, then ends the thread. Returns whether everything had been acknowledged."""
        delivered = self.flush(timeout_s)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(1.0)
        return delivered

    def _pending(self) -> bool:
        return len(self._queue) > 0 or self._ring.acked_seq < self._ring.last_seq

    def _run(self) -> None:
        while True:
            with self._changed:
                batch = self._next_batch()
                if batch is None:
                    return
            try:
                self._send(batch)
            except AttemptReplaced:
                with self._changed:
                    self.replaced = True
                    self._changed.notify_all()
                self._on_replaced()
                return

    def _next_batch(self) -> list[Any] | None:
        """Waits, with the lock held, for events to send. None means the publisher was closed."""
        while not self._closed:
            room = _BATCH_EVENTS - (self._ring.last_seq - self._ring.acked_seq)
            # Numbers are given only while the sink works, so what is dropped or replaced before leaves no gap.
            if room > 0 and not self._backoff_s:
                for event in self._queue.take(time.monotonic(), room, everything=self._flushing):
                    self._ring.number(event)
                self._note_dropped_logs()
            batch = self._ring.unacked(_BATCH_EVENTS)
            if batch:
                return batch
            self._backoff_s = 0.0
            self._changed.wait(self._queue.next_due(time.monotonic()))
        return None

    def _note_dropped_logs(self) -> None:
        dropped, self._queue.dropped_logs = self._queue.dropped_logs, 0
        if dropped and not self._terminal_offered:
            message = f"{dropped} log lines were dropped while events could not be delivered."
            self._queue.offer(UnsentEvent("warning", now_rfc3339(), {"code": "logs_dropped", "message": message}))

    def _send(self, batch: list[Any]) -> None:
        try:
            acked = self._sink.send(batch)
        except SinkDown as down:
            log.warning("events cannot be delivered (%s); training goes on", down)
            with self._changed:
                if down.acked is not None:
                    self._ring.ack(max(down.acked, self._ring.acked_seq))
                if down.replay:
                    self._ring.rewind()
                self._backoff_s = min(max(self._backoff_s * 2, _FIRST_BACKOFF_S), _LONGEST_BACKOFF_S)
                self._pause(0.2 if self._flushing else self._backoff_s)
            return
        with self._changed:
            self._ring.ack(acked)
            # A door that takes nothing must not be asked in a tight loop.
            self._backoff_s = 0.0 if acked >= batch[0].src_seq else _FIRST_BACKOFF_S
            if self._backoff_s:
                self._pause(self._backoff_s)
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        """Waits with the lock released; a flush or close cuts the wait short."""
        deadline = time.monotonic() + seconds
        was_flushing = self._flushing
        while not self._closed and self._flushing == was_flushing:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)
