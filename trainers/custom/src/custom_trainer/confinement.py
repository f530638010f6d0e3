"""Starts foreign programs behind walls, and sees to it that nothing of them stays."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from vision_trainer.failures import FailureCode, TrainerFailure

_ENTER = Path(__file__).with_name("enter.py")
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36
_SYS_LANDLOCK_CREATE = 444
_START_TIMEOUT_S = 30.0
# Far from the users of people and services.
_FIRST_UID = 400_000


@dataclass(frozen=True, slots=True)
class Walls:
    """What a program may touch. Everything else is out of reach where the system has Landlock.

    `uid`: the user it runs as (job_user, usable_by). `file_bytes`: no file may grow larger.
    """

    write: Sequence[Path]
    read: Sequence[Path] = ()
    network: bool = False
    uid: int | None = None
    file_bytes: int | None = None


@dataclass(slots=True)
class Confined:
    """A started program and the walls that stand around it."""

    process: subprocess.Popen[bytes]
    # landlock: its version, 0 without; network: open, isolated or tcp_denied; user: own, a number, root …
    walls: dict[str, object]
    spared: frozenset[int] = field(default_factory=frozenset)


def become_guardian() -> None:
    """Makes this process the one to which orphans of its children come, and hides its memory from them.

    Where Landlock stands between them, hiding is not needed, and the worker can go on reading this process's marker.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if landlock_version() < 1:
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0 or less without it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_SYS_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1))


def job_user() -> int | None:
    """A user of this job alone, where this process may change users; the folders it works in must be given to it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return None
    try:
        first, _, count = map(int, Path("/proc/self/uid_map").read_text().split()[:3])
    except (OSError, ValueError):
        return None
    uid = _FIRST_UID + os.getpid()
    return uid if first <= uid < first + count else None


def usable_by(uid: int, python: Path, folder: Path) -> bool:
    """Whether that user can run the interpreter from the folder; one installed in somebody's home cannot be reached."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-S", "-c", "import os, sys; os.chdir(sys.argv[1])", str(folder)],
            user=uid,
            group=uid,
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
            check=False,
            timeout=_START_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def launch(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    walls: Walls,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Confined:
    """Starts a program in a session of its own. Call it from the main thread: the program dies with the caller.

    Raises TrainerFailure(FRAMEWORK_ERROR) when it cannot be started.
    """
    spec = {
        "argv": list(argv),
        "cwd": str(cwd),
        "env": dict(env),
        "confine": True,
        "network": walls.network,
        "uid": walls.uid,
        "read": [str(path) for path in walls.read],
        "write": [str(path) for path in walls.write],
        "file_bytes": walls.file_bytes,
    }
    spared = frozenset(_descendants(os.getpid()))
    spec_read, spec_write = os.pipe()
    report_read, report_write = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_ENTER), str(spec_read), str(report_write)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={"PATH": env.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            pass_fds=(spec_read, report_write),
            start_new_session=True,
        )
    finally:
        os.close(spec_read)
        os.close(report_write)
    with os.fdopen(spec_write, "w") as pipe:
        json.dump(spec, pipe)
    report = _read_report(report_read)
    confined = Confined(process, report, spared)
    if "error" in report or not report:
        end_everything(confined)
        reason = report.get("error") or "it ended before it began"
        raise TrainerFailure(FailureCode.FRAMEWORK_ERROR, f"{argv[0]} could not be started: {reason}.")
    return confined


def _read_report(descriptor: int) -> dict[str, object]:
    """The lines of the report pipe until it closes, which is when the command began."""
    report: dict[str, object] = {}
    os.set_blocking(descriptor, False)
    content, deadline = b"", time.monotonic() + _START_TIMEOUT_S
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        while time.monotonic() < deadline:
            chunk = pipe.read(65536)
            if chunk == b"":
                break
            content += chunk or b""
            if chunk is None:
                time.sleep(0.002)
    for line in content.splitlines():
        report |= json.loads(line)
    return report


def signal_program(confined: Confined, number: signal.Signals) -> None:
    """Sends a signal to the program itself; it is no error when it has ended."""
    if confined.process.poll() is None:
        confined.process.send_signal(number)


def end_everything(confined: Confined, timeout_s: float = 10.0) -> int:
    """Kills the program and all that came of it, whatever session or group it went to. Returns how many had stayed.

    Orphans come to this process (become_guardian), so a chain of parents leads from each of them to here.
    """
    process, deadline = confined.process, time.monotonic() + timeout_s
    killed: set[int] = set()
    while time.monotonic() < deadline:
        alive = [pid for pid in _descendants(os.getpid()) if pid not in confined.spared]
        if process.poll() is None and not alive:
            # No /proc here: the group has to do.
            _kill_group(process.pid)
        for pid in alive:
            _kill(pid)
        killed |= set(alive)
        _reap(killed - {process.pid})
        if process.poll() is not None and not alive:
            break
        time.sleep(0.01)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    return len(killed - {process.pid})


def end_tree(confined: Confined, timeout_s: float = 5.0) -> None:
    """Kills a program that ran beside another one, and what is below it or in its session.

    One of its processes that left both comes to this process as an orphan and ends with the other program
    (end_everything): by then nobody could say whose it was.
    """
    process, deadline = confined.process, time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for pid in _descendants(process.pid):
            _kill(pid)
        _kill_group(process.pid)
        if process.poll() is not None:
            break
        time.sleep(0.01)


def _descendants(root: int) -> list[int]:
    """All living processes below a process, from /proc; empty where there is none."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue
        state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
        # A zombie has no children any more, and nobody can kill it again.
        if state not in "ZX":
            parents[int(entry.name)] = int(parent)
    found, frontier = [], {root}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier}
        found += list(frontier)
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _reap(pids: Iterable[int]) -> None:
    """Orphans that came to us stay in the process table until somebody asks how they ended."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except (ChildProcessError, ProcessLookupError):
            continue


def remove_traces(uid: int | None) -> list[str]:
    """Deletes what a job's user left in the folders where everybody may write. Returns the names."""
    if uid is None:
        return []
    found = []
    for folder in (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):  # noqa: S108
        for path in folder.glob("*"):
            try:
                if path.lstat().st_uid == uid:
                    found.append(str(path))
                    _delete(path)
            except OSError:
                continue
    return found


def _delete(path: Path) -> None:
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
