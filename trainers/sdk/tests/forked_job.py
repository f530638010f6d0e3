"""Runs a trainer as a process of its own without importing its framework each time: forked from one that has it.

Importing takes longer than most of these trainings. A job that was forked is still told everything by its environment
and ended by signals, as `python -m <trainer>` is; each trainer's tests start that one too. So are its ranks.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path
from typing import ClassVar

from trainer_process import TrainerProcess

from vision_trainer import ranks


def start_fork_server(modules: Sequence[str], before_torch: Mapping[str, str]) -> None:
    """Begins to import, in a process of its own; call it before the first job.

    `before_torch` are the variables that the trainer sets before it loads torch.
    """
    os.environ.update(before_torch)
    multiprocessing.set_forkserver_preload([*modules, "boto3.s3.transfer"])
    forkserver.ensure_running()


class ForkedTrainer(TrainerProcess):
    """A running trainer; its output goes to files, so that it never waits for us."""

    def __init__(self, module: str, environment: dict[str, str], folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._stdout = self._folder / "stdout"
        self._stderr = self._folder / "stderr"
        for file in (self._stdout, self._stderr):
            file.touch()
        told = {**environment, "TMPDIR": str(self._folder)}
        self.process = _Process(module, told, self._stdout, self._stderr)  # type: ignore[assignment]


class _Process:
    """What TrainerProcess uses of subprocess.Popen."""

    def __init__(self, module: str, environment: dict[str, str], stdout: Path, stderr: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        self._module = module
        self._process = context.Process(target=_run, args=(module, environment, str(stdout), str(stderr)))
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._module, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, signal.SIGKILL)


def _run(module: str, environment: dict[str, str], stdout: str, stderr: str) -> None:
    os.setsid()
    for descriptor, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    ranks.context = _ForkedRanks()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


class _ForkedRank(ForkProcess):
    """A rank that need not import what the job has imported. Like a spawned one it has no parent's end of a pipe."""

    parents_ends: ClassVar[list[Connection]] = []

    def run(self) -> None:
        for end in self.parents_ends:
            end.close()
        super().run()


class _ForkedRanks(ForkContext):
    Process = _ForkedRank

    def Pipe(self, duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - multiprocessing's name
        ours, theirs = super().Pipe(duplex)
        _ForkedRank.parents_ends.append(ours)
        return ours, theirs
