"""Keeps secrets from other processes of the same user, such as a child that runs foreign code.

Deleting a variable from os.environ changes only what the process itself sees: the bytes that the kernel laid on the
stack at exec stay, and /proc/<pid>/environ shows them for as long as the process runs.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path

# Fields of /proc/<pid>/stat, counted from 1 as in proc_pid_stat(5): where the block begins and ends.
_ENV_START_FIELD = 50
_ENV_END_FIELD = 51
_PR_SET_DUMPABLE = 4


def wipe_initial_environment(names: Iterable[str]) -> bool:
    """Overwrites the values of these variables with zero bytes. Returns whether the block could be reached.

    Linux only; elsewhere, and where /proc is not what we know, nothing happens and nothing is raised. The memory is
    reached by /proc/self/mem and not by a pointer, so that a wrong address is an error and not a crash.
    """
    wanted = {name.encode() for name in names}
    try:
        start, end = _block()
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            block = memory.read(end - start)
            position = 0
            for entry in block.split(b"\0"):
                name, separator, value = entry.partition(b"=")
                if separator and name in wanted and value:
                    memory.seek(start + position + len(name) + 1)
                    memory.write(bytes(len(value)))
                position += len(entry) + 1
    except (OSError, ValueError, IndexError, OverflowError):
        return False
    return True


def hide_memory() -> bool:
    """Forbids other processes of the same user to read this one's memory (PR_SET_DUMPABLE 0); whether it worked.

    For a trainer that runs foreign code in child processes (custom): after this they can neither trace it nor open
    /proc/<pid>/mem, and a crash writes no core file. A framework inside of this process would be disturbed, because
    much of /proc/self then belongs to root and shared GPU memory needs the right it takes away: `run_trainer` does not
    call it. Root, and who has CAP_SYS_PTRACE, is not held back; children are not affected (exec sets it anew).
    """
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)) == 0
    except (OSError, AttributeError):
        return False


def _block() -> tuple[int, int]:
    """The addresses of the first byte and of the byte behind the last."""
    stat = Path("/proc/self/stat").read_text()
    # The second field is the program's name in brackets and may hold anything; the third comes after the last bracket.
    fields = stat[stat.rindex(")") + 1 :].split()
    start, end = int(fields[_ENV_START_FIELD - 3]), int(fields[_ENV_END_FIELD - 3])
    if not 0 < start < end:
        raise ValueError("the kernel does not tell where the environment is")
    return start, end
