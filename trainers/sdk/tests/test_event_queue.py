"""The queue and the ring under any interleaving: nothing reliable is lost, nothing is numbered twice, no gaps."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vision_trainer.event_queue import EventQueue, EventRing, NumberedEvent, UnsentEvent

TS = "2026-11-21T00:00:00.000Z"


def event(kind: str, **data: Any) -> UnsentEvent:
    return UnsentEvent(kind, TS, data)


_EVENTS = st.one_of(
    st.builds(lambda step: event("progress", step=step), st.integers(0, 9)),
    st.builds(lambda step: event("metrics", scope="step", split="train", step=step), st.integers(0, 9)),
    st.builds(lambda epoch: event("metrics", scope="epoch", split="val", epoch=epoch), st.integers(0, 9)),
    st.builds(lambda: event("checkpoint")),
    st.builds(lambda: event("heartbeat")),
)
# Either an event is offered, or time passes and up to n events are taken.
_ACTIONS = st.lists(st.one_of(_EVENTS, st.tuples(st.floats(0, 1), st.integers(1, 5))), max_size=80)


@settings(max_examples=200, deadline=None)
@given(_ACTIONS)
def test_keeps_reliable_events_and_two_step_events_a_second(actions: list[Any]) -> None:
    queue, now = EventQueue(), 0.0
    offered: list[UnsentEvent] = []
    taken: list[tuple[float, UnsentEvent]] = []
    for action in actions:
        if isinstance(action, UnsentEvent):
            offered.append(action)
            queue.offer(action)
        else:
            now += action[0]
            taken += [(now, item) for item in queue.take(now, action[1])]
    taken += [(now, item) for item in queue.take(now, 1000, everything=True)]
    assert len(queue) == 0

    def reliable(item: UnsentEvent) -> bool:
        return item.type == "checkpoint" or item.data.get("scope") == "epoch"

    assert [item for _, item in taken if reliable(item)] == [item for item in offered if reliable(item)]
    step_times = [at for at, item in taken[:-3] if item.type == "progress" or item.data.get("scope") == "step"]
    for first, third in zip(step_times, step_times[2:], strict=False):
        assert third - first >= 0.5 or third == now


def test_only_the_latest_step_event_is_sent_and_the_terminal_one_is_last() -> None:
    queue = EventQueue()
    for step in range(100):
        queue.offer(event("progress", step=step))
    queue.offer(event("succeeded"))
    queue.offer(event("progress", step=100))
    sent = queue.take(0.0, 64)
    assert [item.type for item in sent] == ["progress", "succeeded"]
    assert sent[0].data["step"] == 100


class FlakyDoor:
    """Accepts in order like the gateway, loses batches and answers as told, may restart without its newest events."""

    def __init__(self) -> None:
        self.accepted: list[int] = []

    def send(self, batch: list[NumberedEvent], fate: str) -> int | None:
        if fate == "lost":
            return None
        for item in batch:
            if item.src_seq == len(self.accepted) + 1:
                self.accepted.append(item.src_seq)
                assert json.loads(item.body)["src_seq"] == item.src_seq
        return None if fate == "answer lost" else len(self.accepted)


_FATES = st.lists(st.sampled_from(["fine", "lost", "answer lost", "restarted"]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(_FATES, st.integers(1, 7))
def test_any_losses_converge_to_a_gapless_stream(fates: list[str], batch_size: int) -> None:
    ring, door = EventRing(), FlakyDoor()
    for number, fate in enumerate([*fates, *["fine"] * 40]):
        if number < 30:
            ring.number(event("log", level="info", message=str(number)))
        if fate == "restarted":
            del door.accepted[len(door.accepted) // 2 :]
            ring.rewind()
            continue
        batch = ring.unacked(batch_size)
        acked = door.send(batch, fate) if batch else None
        if acked is not None:
            ring.ack(acked)
    while batch := ring.unacked(batch_size):
        answer = door.send(batch, "fine")
        assert answer is not None
        ring.ack(answer)
    assert door.accepted == list(range(1, ring.last_seq + 1))
