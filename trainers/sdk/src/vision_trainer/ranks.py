"""Several processes for one training: starts ranks 1, 2, … of this host, watches them, says what they died of.

Rank 0 is the process the platform started. The others get what they need through a pipe, have no secrets in their
environment, leave signals to rank 0, and end when rank 0 does: the pipe's end is the sign. Nothing here knows torch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess, SpawnContext, SpawnProcess
from typing import Any

from .failures import FailureCode, TrainerFailure

_FAREWELL_S = 5.0

# A GPU cannot be used in a process that was forked from one that uses it.
context: SpawnContext | ForkContext = multiprocessing.get_context("spawn")


class Ranks:
    """The other processes of this training. Made before the heavy imports, so that they import at the same time.

    `target` is `module:function`; the function is called in each child, at once, to import what it needs, and returns
    the function that is then called with (rank, what `send` was given).
    `on_death` is called once, in a thread, when a child ends before `close`.
    """

    def __init__(self, world: int, target: str, on_death: Callable[[TrainerFailure], None]) -> None:
        self.world = world
        self._on_death = on_death
        self._lock = threading.Lock()
        self._closing = False
        self._died = threading.Event()
        self._failure: TrainerFailure | None = None
        self._children: list[tuple[SpawnProcess | ForkProcess, Connection]] = []
        for rank in range(1, world):
            ours, theirs = context.Pipe()
            process = context.Process(target=_run_rank, args=(rank, theirs, target), name=f"rank-{rank}", daemon=True)
            process.start()
            theirs.close()
            self._children.append((process, ours))
        if self._children:
            threading.Thread(target=self._watch, name="ranks", daemon=True).start()

    def send(self, plan: Any) -> None:
        """Tells every child what to do."""
        for _, connection in self._children:
            try:
                connection.send(plan)
            except OSError:
                # It is dead; the watcher says so.
                continue

    def failure(self, timeout_s: float) -> TrainerFailure | None:
        """What a child died of, waiting up to `timeout_s` for one to die; None while all live."""
        self._died.wait(timeout_s)
        return self._failure

    def close(self) -> None:
        """Ends the children."""
        with self._lock:
            self._closing = True
        for _, connection in self._children:
            connection.close()
        for process, _ in self._children:
            process.join(_FAREWELL_S)
            if process.is_alive():
                process.kill()
                process.join(_FAREWELL_S)

    def _watch(self) -> None:
        """Waits for the first child that ends, and finds out why."""
        gone = wait([process.sentinel for process, _ in self._children])
        for rank, (process, connection) in enumerate(self._children, start=1):
            if process.sentinel not in gone:
                continue
            process.join(_FAREWELL_S)
            with self._lock:
                if self._closing:
                    return
                failure = _last_words(connection) or _failure_of(rank, self.world, process.exitcode or 0)
            self._failure = failure
            self._died.set()
            self._on_death(failure)
            return


def _last_words(connection: Connection) -> TrainerFailure | None:
    try:
        if connection.poll():
            code, message, retryable = connection.recv()
            return TrainerFailure(FailureCode(code), message, retryable=retryable)
    except (OSError, EOFError, ValueError):
        pass
    return None


def _failure_of(rank: int, world: int, exit_code: int) -> TrainerFailure:
    ended = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    hint = " Perhaps the machine's memory was full." if exit_code == -signal.SIGKILL else ""
    return TrainerFailure(
        FailureCode.FRAMEWORK_ERROR,
        f"Process {rank + 1} of the {world} that train together {ended}; the others cannot go on without it.{hint}",
        # Nothing is wrong with the job itself where somebody else killed the process.
        retryable=exit_code < 0,
    )


def _run_rank(rank: int, connection: Connection, target: str) -> None:
    """A child's main: waits for the plan, runs `target`, sends what went wrong, ends."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        module, _, name = target.partition(":")
        work = getattr(import_module(module), name)()
        plan = connection.recv()
        threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
        work(rank, plan)
    except EOFError:
        os._exit(0)
    except BaseException as error:
        _say_why(connection, error)
        os._exit(1)
    # Done: rank 0 says when to leave, by closing the pipe.
    threading.Event().wait()


def _end_with_parent(connection: Connection) -> None:
    try:
        connection.recv()
    except (OSError, EOFError):
        os._exit(0)


def _say_why(connection: Connection, error: BaseException) -> None:
    traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, TrainerFailure):
        words = (str(error.code), error.message, error.retryable)
    else:
        words = (str(FailureCode.FRAMEWORK_ERROR), f"{type(error).__name__}: {error}"[:2000], False)
    try:
        connection.send(words)
    except OSError:
        return
