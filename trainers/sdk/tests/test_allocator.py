"""What keeping freed memory saves, in processes of their own: it cannot be undone in this one."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WORK = """
import resource, sys
if sys.argv[1] == "kept":
    from vision_trainer.allocator import keep_freed_memory
    assert keep_freed_memory()
def work():
    blocks = [b"x" * (16 << 20) for _ in range(4)]
    blocks.append(b"x" * (64 << 20))
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_that_was_freed_is_used_again_without_asking_the_system() -> None:
    assert _page_faults("kept") < 0.05 * _page_faults("returned")


def _page_faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", _WORK, mode], check=True, capture_output=True, text=True, timeout=60)
    return int(done.stdout)
