"""Prepares batches, in threads a few ahead of the loop where that helps: what NUM_WORKERS means."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

from .cpu_limits import available_cpus

Item = TypeVar("Item")
Made = TypeVar("Made")


def loader_threads(device_type: str, processes: int = 1, asked: int | None = None) -> int:
    """How many threads prepare images in each of a job's processes, of `asked` in all; not asked: from the CPUs.

    None where torch computes on two CPUs or fewer: it wants them all, and each operation waits for the slower one.
    """
    if asked is None:
        cpus = available_cpus()
        asked = 0 if device_type == "cpu" and cpus <= 2 else max(1, min(8, cpus // 2))
    return -(-asked // processes)


class Loader:
    """Makes batches in `threads` threads, a few ahead of who asks; with none in the asking one, as DataLoader does."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader") if threads else None
        self._ahead = threads + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def load(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """What `make` makes of the items, in order."""
        if self._pool is None:
            yield from map(make, items)
            return
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(make, item))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
