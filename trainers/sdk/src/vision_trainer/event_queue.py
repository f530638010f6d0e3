"""What waits to be sent, and what was sent but may have to be sent again. No threads, no clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .event_encoding import TERMINAL_TYPES, encode_event

# At most one step event leaves per interval: two a second, however many kinds of them a trainer produces.
STEP_INTERVAL_S = 0.5
# Log lines alone may be lost when a sink is down for long; everything else is kept.
MAX_WAITING_LOGS = 1000


@dataclass(frozen=True, slots=True)
class UnsentEvent:
    """An event that has no number yet, so dropping it leaves no gap."""

    type: str
    ts: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event that was given its `src_seq`: from here on it must arrive."""

    src_seq: int
    type: str
    body: str

    @property
    def terminal(self) -> bool:
        """Whether it ends the attempt."""
        return self.type in TERMINAL_TYPES


class EventQueue:
    """Waiting events: reliable ones in order, step events and heartbeats coalesced to the latest of their kind."""

    def __init__(self) -> None:
        self._reliable: deque[UnsentEvent] = deque()
        self._latest: dict[str, UnsentEvent] = {}
        self._heartbeat: UnsentEvent | None = None
        self._next_step_at = float("-inf")
        self._waiting_logs = 0
        self.dropped_logs = 0

    def __len__(self) -> int:
        return len(self._reliable) + len(self._latest) + (self._heartbeat is not None)

    def offer(self, event: UnsentEvent) -> None:
        """Adds an event. Step events replace the waiting one of the same kind."""
        if event.type == "heartbeat":
            self._heartbeat = event
        elif is_step_event(event):
            # A waiting kind keeps its place in the dictionary's order, so that the kinds take turns.
            self._latest[f"{event.type}:{event.data.get('split', '')}"] = event
        elif event.type == "log" and self._waiting_logs >= MAX_WAITING_LOGS:
            self.dropped_logs += 1
        else:
            self._waiting_logs += event.type == "log"
            self._reliable.append(event)

    def take(self, now: float, limit: int, *, everything: bool = False) -> list[UnsentEvent]:
        """Removes and returns what may leave at `now` (monotonic seconds), in sending order, at most `limit` events.

        With `everything` the step events do not wait for their turn: used when the trainer ends.
        """
        taken: list[UnsentEvent] = []
        terminal: UnsentEvent | None = None
        while self._reliable and len(taken) < limit:
            event = self._reliable.popleft()
            self._waiting_logs -= event.type == "log"
            if event.type in TERMINAL_TYPES:
                terminal = event
                break
            taken.append(event)
        if self._heartbeat is not None and len(taken) < limit:
            taken.append(self._heartbeat)
            self._heartbeat = None
        while self._latest and len(taken) < limit and (everything or terminal or now >= self._next_step_at):
            taken.append(self._latest.pop(next(iter(self._latest))))
            self._next_step_at = now + STEP_INTERVAL_S
        if terminal is not None:
            # The last word stays the last word.
            taken.append(terminal)
        return taken

    def next_due(self, now: float) -> float | None:
        """Seconds until something may leave: 0 for now, None when nothing waits."""
        if self._reliable or self._heartbeat is not None:
            return 0.0
        return max(0.0, self._next_step_at - now) if self._latest else None


class EventRing:
    """Numbered events, kept until acknowledged and a while longer.

    A sink that loses its newest data (a Redis that was restarted) gets the whole ring again; it refuses what it has.
    """

    def __init__(self, history: int = 1024) -> None:
        self._history = history
        self._events: deque[NumberedEvent] = deque()
        self.last_seq = 0
        self.acked_seq = 0

    def number(self, event: UnsentEvent) -> NumberedEvent:
        """Gives the event the next `src_seq` and remembers it."""
        self.last_seq += 1
        numbered = NumberedEvent(
            self.last_seq, event.type, encode_event(event.type, event.ts, self.last_seq, event.data)
        )
        self._events.append(numbered)
        return numbered

    def unacked(self, limit: int | None = None) -> list[NumberedEvent]:
        """The oldest unacknowledged events, at most `limit`."""
        waiting = [event for event in self._events if event.src_seq > self.acked_seq]
        return waiting[:limit]

    def ack(self, src_seq: int) -> None:
        """Everything up to `src_seq` has arrived. A smaller number than before is the sink asking to go back."""
        self.acked_seq = min(src_seq, self.last_seq)
        while len(self._events) > self._history and self._events[0].src_seq <= self.acked_seq:
            self._events.popleft()

    def rewind(self) -> None:
        """Forgets the acknowledgements of everything still remembered, so that it is sent again."""
        if self._events:
            self.acked_seq = self._events[0].src_seq - 1


def is_step_event(event: UnsentEvent) -> bool:
    """Whether only the latest of its kind matters."""
    return event.type == "progress" or (event.type == "metrics" and event.data.get("scope") == "step")
