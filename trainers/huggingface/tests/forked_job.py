"""Runs a trainer as a process of its own without importing transformers each time: forked from one that has it.

Importing takes longer than most of these trainings. A job that was forked is still told everything by its environment
and ended by signals, as `python -m huggingface_trainer` is (test_process.py starts that one).
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import tempfile
from pathlib import Path

from trainer_process import TrainerProcess

_PRELOADED = [
    "huggingface_trainer.train",
    "huggingface_trainer.evaluate_job",
    "huggingface_trainer.predict_job",
    "huggingface_trainer.export_job",
    "huggingface_trainer.caption_export",
    *(
        f"transformers.models.{family}.modeling_{family}"
        for family in ("vit", "deit", "detr", "rt_detr", "segformer", "blip", "vitpose")
    ),
]
# What start.py decides before torch is loaded.
_BEFORE_TORCH = {
    "GOMP_SPINCOUNT": "10000",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "USE_HUB_KERNELS": "NO",
    "TRANSFORMERS_VERBOSITY": "error",
}


def start_fork_server() -> None:
    """Begins to import, in a process of its own; call it before the first job."""
    from multiprocessing import forkserver

    os.environ.update(_BEFORE_TORCH)
    multiprocessing.set_forkserver_preload(_PRELOADED)
    forkserver.ensure_running()


class ForkedTrainer(TrainerProcess):
    """A running trainer; its output goes to files, so that it never waits for us."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._stdout = self._folder / "stdout"
        self._stderr = self._folder / "stderr"
        for file in (self._stdout, self._stderr):
            file.touch()
        told = {**environment, "TMPDIR": str(self._folder)}
        self.process = _Process(told, self._stdout, self._stderr)  # type: ignore[assignment]


class _Process:
    """What TrainerProcess uses of subprocess.Popen."""

    def __init__(self, environment: dict[str, str], stdout: Path, stderr: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(target=_run, args=(environment, str(stdout), str(stderr)))
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
            raise subprocess.TimeoutExpired("huggingface_trainer", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, signal.SIGKILL)


def _run(environment: dict[str, str], stdout: str, stderr: str) -> None:
    os.setsid()
    for descriptor, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    runpy.run_module("huggingface_trainer", run_name="__main__", alter_sys=True)
