"""Freed memory stays with the process: torch frees and asks again for the same hundreds of megabytes every step."""

from __future__ import annotations

import ctypes

# mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_ONE_GIB = 1 << 30


def keep_freed_memory() -> bool:
    """Tells glibc to give blocks of less than 1 GiB back to itself, not to the system. Returns whether it took it.

    By default a block above 32 MiB is mapped anew each time and the heap's free end is returned, so that every step
    pays for thousands of page faults. Other C libraries (macOS, musl) are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(option, _ONE_GIB) == 1 for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD))
