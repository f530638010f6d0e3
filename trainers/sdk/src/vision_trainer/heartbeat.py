"""Says every few seconds that the process is alive, and how much memory it holds."""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .events import EventPublisher

# Returns (bytes of GPU memory in use, utilisation in per cent), each None where unknown.
GpuProbe = Callable[[], tuple[int | None, float | None]]


def resident_bytes() -> int:
    """Physical memory of this process in bytes (the peak where the system does not tell the present value)."""
    statm = Path("/proc/self/statm")
    try:
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class Heartbeat:
    """A daemon thread that publishes a heartbeat every `every_s` seconds until stopped."""

    def __init__(self, publisher: EventPublisher, every_s: float) -> None:
        self._publisher = publisher
        self._every_s = every_s
        self._stopped = threading.Event()
        self.gpu_probe: GpuProbe | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; no heartbeat follows the terminal event."""
        self._stopped.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            memory, utilisation = None, None
            if self.gpu_probe is not None:
                try:
                    memory, utilisation = self.gpu_probe()
                except Exception:
                    self.gpu_probe = None
            self._publisher.publish(
                "heartbeat", {"rss_bytes": resident_bytes(), "gpu_mem_bytes": memory, "gpu_util": utilisation}
            )
