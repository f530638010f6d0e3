"""Signals and the clock: who asked to stop and why, and when a checkpoint is wanted now."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType

from .failures import StopReason


class StopController:
    """SIGTERM asks to stop, SIGUSR1 asks for a checkpoint, MAX_RUNTIME_S is the third voice.

    A second SIGTERM, or a SIGINT, ends the process at once with 128 + the signal's number. The worker writes
    `cancelled` or `preempted` into `reason_file` before it signals; without a file the reason is cancelled.
    """

    def __init__(self, *, max_runtime_s: float | None, grace_s: float, reason_file: Path | None) -> None:
        self._started = time.monotonic()
        self._max_runtime_s = max_runtime_s
        self._grace_s = grace_s
        self._reason_file = reason_file
        self._checkpoint_wanted = False
        self._reason: StopReason | None = None
        self._stopping_since: float | None = None
        self._terminated = False
        self.replaced = False

    def install(self) -> None:
        """Takes over the three signals. Only the main thread may call it."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        signal.signal(signal.SIGINT, self._on_interrupt)
        signal.signal(signal.SIGUSR1, self._on_checkpoint)

    @property
    def stop_requested(self) -> bool:
        """Whether the loop must finish its step, save and end. Cheap enough for every step."""
        if self._stopping_since is not None:
            return True
        if self._max_runtime_s is not None and time.monotonic() - self._started >= self._max_runtime_s:
            self.request_stop(StopReason.TIMEOUT)
            return True
        return False

    @property
    def reason(self) -> StopReason:
        """Why; meaningful once `stop_requested`."""
        if self._reason is None:
            self._reason = self._read_reason()
        return self._reason

    def request_stop(self, reason: StopReason) -> None:
        """Asks to stop from within. The first reason stays."""
        if self._stopping_since is None:
            self._reason = reason
            self._stopping_since = time.monotonic()

    def mark_replaced(self) -> None:
        """A newer attempt owns the job: stop and write nothing."""
        self.replaced = True
        self.request_stop(StopReason.PREEMPTED)

    def grace_left_s(self) -> float:
        """Seconds until the platform kills this process; the whole grace while nobody asked to stop."""
        if self._stopping_since is None:
            return self._grace_s
        return max(0.0, self._grace_s - (time.monotonic() - self._stopping_since))

    def take_checkpoint_request(self) -> bool:
        """Whether SIGUSR1 arrived since the last call."""
        wanted, self._checkpoint_wanted = self._checkpoint_wanted, False
        return wanted

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        if self._terminated:
            os._exit(128 + number)
        # A stop that began otherwise (our own clock, an answer of the gateway) does not make this the second signal.
        self._terminated = True
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        os._exit(128 + number)

    def _on_checkpoint(self, number: int, frame: FrameType | None) -> None:
        self._checkpoint_wanted = True

    def _read_reason(self) -> StopReason:
        if self._reason_file is None:
            return StopReason.CANCELLED
        try:
            return StopReason(self._reason_file.read_text().strip())
        except (OSError, ValueError):
            return StopReason.CANCELLED
