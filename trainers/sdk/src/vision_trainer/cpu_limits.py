"""How many CPUs this process may really use: affinity and cgroup quota, not the machine's count."""

from __future__ import annotations

import math
import os
from pathlib import Path

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


def available_cpus(root: Path = Path("/")) -> int:
    """CPUs usable by this process, at least 1: the smallest of affinity, cgroup v2 and cgroup v1 quota, rounded up.

    `root` is the file system root, for tests.
    """
    try:
        count: float = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        count = os.cpu_count() or 1
    for quota in (_cgroup_v2_quota(root), _cgroup_v1_quota(root)):
        if quota is not None:
            count = min(count, quota)
    return max(1, math.ceil(count))


def limit_threads(processes: int = 1) -> int:
    """Tells the numeric libraries that are loaded later how many threads to start. Returns that number.

    They count the machine's CPUs by themselves, not the quota's, and then stand in each other's way. What the
    environment says already is left alone. `processes` share the CPUs.
    """
    threads = max(1, available_cpus() // processes)
    for name in _THREAD_VARIABLES:
        os.environ.setdefault(name, str(threads))
    return threads


def _cgroup_v2_quota(root: Path) -> float | None:
    """The smallest `cpu.max` from this process's group up to the root group: a parent's limit holds too."""
    smallest: float | None = None
    base = root / "sys/fs/cgroup"
    for group in _ancestors(base, _own_group(root, "0::")):
        try:
            quota, period = (group / "cpu.max").read_text().split()[:2]
            if quota != "max":
                value = int(quota) / int(period)
                smallest = value if smallest is None else min(smallest, value)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return smallest


def _cgroup_v1_quota(root: Path) -> float | None:
    smallest: float | None = None
    for controller in ("cpu,cpuacct", "cpu"):
        base = root / "sys/fs/cgroup" / controller
        for group in _ancestors(base, _own_group(root, f":{controller}:")):
            try:
                quota = int((group / "cpu.cfs_quota_us").read_text())
                period = int((group / "cpu.cfs_period_us").read_text())
            except (OSError, ValueError):
                continue
            if quota > 0 and period > 0:
                smallest = quota / period if smallest is None else min(smallest, quota / period)
    return smallest


def _own_group(root: Path, marker: str) -> str:
    try:
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            if marker in line:
                return line.split(marker, 1)[1].strip("/")
    except OSError:
        pass
    return ""


def _ancestors(base: Path, group: str) -> list[Path]:
    """The group's folder and all above it, down to `base` itself."""
    parts = [part for part in group.split("/") if part not in ("", "..")]
    return [base.joinpath(*parts[:length]) for length in range(len(parts), -1, -1)]
