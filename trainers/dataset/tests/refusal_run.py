"""Run as a process of its own: builds a version from every `<name>.<task>.zip` in a folder and reports, as one JSON
line, the codes of each, the peak memory, and every path that was opened for writing."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataset_trainer.findings import Findings
from dataset_trainer.version_builder import BuildOptions, build_version


def main(folder: Path, work_root: Path) -> None:
    written: set[str] = set()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(arguments[0], str) and set(str(arguments[1] or "")) & set("wxa+")
        if opened or event in ("os.mkdir", "os.symlink", "os.link", "os.rename"):
            written.add(str(Path(arguments[0]).absolute()))

    sys.addaudithook(watch)
    answers = {}
    for path in sorted(folder.glob("*.zip")):
        findings = Findings()
        started = time.monotonic()
        with TemporaryDirectory(dir=work_root) as work:
            built = build_version(
                path, Path(work), BuildOptions(task=path.stem.partition(".")[2]), findings, lambda done, total: None
            )
        answers[path.stem] = {
            "refused": built is None,
            "codes": [finding.code for finding in findings.as_list() if finding.severity == "error"],
            "seconds": time.monotonic() - started,
        }
    outside = sorted(path for path in written if not path.startswith(str(work_root)))
    print(json.dumps({"answers": answers, "peak_bytes": peak_bytes(), "outside": outside}))


def peak_bytes() -> int:
    """The most physical memory this process has held. Linux lets `ru_maxrss` begin with the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
