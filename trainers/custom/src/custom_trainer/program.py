"""Runs one command of the repository: reads what it says, notices that it hangs, asks it to stop, leaves nothing of
it."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob

from . import patterns
from .confinement import Confined, Walls, end_everything, launch, signal_program
from .log_files import LineSplitter
from .manifest import Manifest
from .manifest_process import ErrorRule
from .repository_log import RepositoryLog

_READ_BYTES = 1 << 16
_TICK_S = 0.25
_DRAIN_S = 2.0
_LAST_LINES = 30
# Kept back of the grace time for the last upload and the farewell.
_UPLOAD_RESERVE_S = 8.0


@dataclass(slots=True)
class Ending:
    """How a command ended. `code` is negative for a signal."""

    code: int
    asked_to_stop: bool = False
    hung: bool = False
    took_too_long: bool = False
    stayed: int = 0
    rule: ErrorRule | None = None
    last_lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Listener:
    """Who hears what a command says. `tick` is called a few times a second, from the main thread, until it has ended.

    `tick` returns whether something moved that nobody printed (a log file grew), which is a sign of life too. `over`
    is called once when the command has ended, before all that is left of it is.
    """

    line: Callable[[str, str], None] = lambda stream, text: None
    tick: Callable[[Confined], bool] = lambda confined: False
    over: Callable[[], None] = lambda: None


class Program:
    """Starts commands in one workspace, one after the other."""

    def __init__(self, job: TrainerJob, manifest: Manifest, log: RepositoryLog, walls: Walls) -> None:
        self._job = job
        self._manifest = manifest
        self._log = log
        self.walls = walls
        self._told_walls = False

    def run(
        self,
        argv: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        listener: Listener,
        limit_s: float | None = None,
    ) -> Ending:
        """Runs to the end. Raises TrainerFailure when it cannot be started; how it ended is for `failure_of` to
        judge."""
        self._log.note(f"$ {' '.join(argv)}")
        confined = launch(argv, cwd=cwd, env=env, walls=self.walls)
        self._tell_walls(confined)
        ending = Ending(0)
        last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        try:
            self._watch(confined, ending, listener, last_lines, limit_s)
        finally:
            process = confined.process
            code = process.poll()
            listener.over()
            ending.stayed = end_everything(confined)
            ending.code = process.returncode if code is None else code
        ending.last_lines = list(last_lines)
        if ending.stayed and not ending.asked_to_stop and not ending.hung:
            self._job.events.warning(
                "processes_left", f"{ending.stayed} processes of the repository outlived it and were ended."
            )
        return ending

    def _watch(
        self, confined: Confined, ending: Ending, listener: Listener, last_lines: deque[str], limit_s: float | None
    ) -> None:
        process, stop = confined.process, self._job.stop
        started = last_sign = time.monotonic()
        next_tick = 0.0
        kill_at: float | None = None
        with selectors.DefaultSelector() as selector:
            pipes = _open_pipes(selector, confined)
            while process.poll() is None:
                heard = self._hear(selector, pipes, listener, ending, last_lines, _TICK_S)
                now = time.monotonic()
                if heard:
                    last_sign = now
                if now >= next_tick:
                    next_tick = now + _TICK_S
                    if listener.tick(confined):
                        last_sign = now
                if kill_at is None:
                    kill_at = self._reason_to_end(confined, ending, now - started, now - last_sign, limit_s)
                elif now >= kill_at or stop.replaced:
                    return
            # What it said last is still in the pipes; a child that keeps them open does not make us wait.
            end = time.monotonic() + _DRAIN_S
            while selector.get_map() and time.monotonic() < end:
                if not self._hear(selector, pipes, listener, ending, last_lines, 0.0):
                    break
            for name, (splitter, _) in pipes.items():
                for line, stays in splitter.rest():
                    self._take_line(name, line, stays, listener, ending, last_lines)
            listener.tick(confined)

    def _reason_to_end(
        self, confined: Confined, ending: Ending, elapsed_s: float, silent_s: float, limit_s: float | None
    ) -> float | None:
        """When the program has to be killed, or None while all is well; asks it to stop where that makes sense."""
        stop, rules = self._job.stop, self._manifest.signals
        if stop.stop_requested:
            ending.asked_to_stop = True
            if stop.replaced:
                return time.monotonic()
            signal_program(confined, signal.Signals[rules.stop])
            left = max(0.0, stop.grace_left_s() - _UPLOAD_RESERVE_S)
            return time.monotonic() + min(rules.grace_s, max(left, stop.grace_left_s() / 2))
        if ending.rule is not None and ending.rule.stop:
            return self._ask(confined)
        if silent_s > self._manifest.limits.silence_s:
            ending.hung = True
            return self._ask(confined)
        if limit_s is not None and elapsed_s > limit_s:
            ending.took_too_long = True
            return self._ask(confined)
        return None

    def _ask(self, confined: Confined) -> float:
        signal_program(confined, signal.Signals[self._manifest.signals.stop])
        return time.monotonic() + min(2.0, self._manifest.signals.grace_s)

    def _hear(
        self,
        selector: selectors.BaseSelector,
        pipes: dict[str, tuple[LineSplitter, BinaryIO]],
        listener: Listener,
        ending: Ending,
        last_lines: deque[str],
        timeout_s: float,
    ) -> bool:
        """Reads what is there. Returns whether there was anything."""
        heard = False
        if not selector.get_map():
            time.sleep(timeout_s)
        for key, _ in selector.select(timeout_s):
            name = str(key.data)
            splitter, pipe = pipes[name]
            piece = os.read(pipe.fileno(), _READ_BYTES)
            if not piece:
                selector.unregister(pipe)
                continue
            heard = True
            self._log.raw(piece)
            for line, stays in splitter.feed(piece):
                self._take_line(name, line, stays, listener, ending, last_lines)
        return heard

    def _take_line(
        self, stream: str, line: str, stays: bool, listener: Listener, ending: Ending, last_lines: deque[str]
    ) -> None:
        if stays:
            if line.strip():
                last_lines.append(line.rstrip()[:2000])
            self._log.publish(stream, line)
            ending.rule = _matching(self._manifest.errors, line) or ending.rule
        listener.line(stream, line)

    def _tell_walls(self, confined: Confined) -> None:
        if self._told_walls:
            return
        self._told_walls = True
        walls = confined.walls
        self._job.events.log(
            "info",
            f"The repository runs as user {walls.get('user')}, network {walls.get('network')}, "
            f"files {'walled in by Landlock' if walls.get('landlock') else 'not walled in'}.",
        )
        if not self.walls.network and walls.get("network") != "isolated":
            said = "only TCP is blocked" if walls.get("network") == "tcp_denied" else "this system does not let us"
            self._job.events.warning(
                "network_not_isolated", f"The repository cannot be cut off from the network: {said}."
            )
        if not walls.get("landlock") and not str(walls.get("user", "")).isdigit():
            self._job.events.warning(
                "files_not_isolated",
                "The repository runs as the trainer's own user and could write outside of the job.",
            )


def _open_pipes(selector: selectors.BaseSelector, confined: Confined) -> dict[str, tuple[LineSplitter, BinaryIO]]:
    pipes: dict[str, tuple[LineSplitter, BinaryIO]] = {}
    for name, pipe in (("stdout", confined.process.stdout), ("stderr", confined.process.stderr)):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, name)
            pipes[name] = (LineSplitter(), pipe)  # type: ignore[assignment]
    return pipes


def _matching(rules: Iterable[ErrorRule], line: str) -> ErrorRule | None:
    return next((rule for rule in rules if patterns.compiled(rule.pattern).search(line)), None)


# What every framework says in nearly the same words; a manifest's own rules come first.
_COMMON = (
    ErrorRule(
        pattern=r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|ResourceExhausted|memory error on GPU",
        code=FailureCode.GPU_OUT_OF_MEMORY,
        message="The GPU's memory is full: try a smaller batch.",
    ),
    ErrorRule(pattern=r"(?i)loss is (nan|inf)\b", code=FailureCode.DIVERGED, message="The loss is no number any more."),
    ErrorRule(
        pattern=r"\b(ModuleNotFoundError|ImportError):",
        code=FailureCode.MODEL_UNAVAILABLE,
        message="The repository's environment lacks something.",
    ),
)


def failure_of(ending: Ending, manifest: Manifest, what: str) -> TrainerFailure | None:
    """What a command's end means; None when it did its work."""
    said = next((line for line in reversed(ending.last_lines) if line.strip()), "")
    tail = f" It said: {said[:500]}" if said else ""
    if ending.hung:
        return TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"{what} gave no sign of life for {manifest.limits.silence_s:g} s and was ended.{tail}",
        )
    if ending.took_too_long:
        return TrainerFailure(FailureCode.FRAMEWORK_ERROR, f"{what} took longer than the manifest allows.{tail}")
    if ending.code == 0 and not (ending.rule and ending.rule.stop):
        return None
    rule = ending.rule
    if rule is None:
        rule = next((found for line in reversed(ending.last_lines) if (found := _matching(_COMMON, line))), None)
    how = f"ended with signal {-ending.code}" if ending.code < 0 else f"ended with exit code {ending.code}"
    if ending.code == -signal.SIGKILL and rule is None:
        how += " (killed, most likely because the machine's memory is full)"
    if rule is None:
        return TrainerFailure(FailureCode.FRAMEWORK_ERROR, f"{what} {how}.{tail}")
    return TrainerFailure(rule.code, f"{what} {how}: {rule.message or rule.pattern}{tail}")
