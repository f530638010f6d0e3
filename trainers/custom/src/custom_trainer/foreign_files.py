"""Opens files that foreign code wrote: regular ones, in the folder they claim to be in. The code may still be running,
and may put a link or a pipe where a file was a moment ago; so what was opened is looked at, not the name."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO


def open_foreign(path: Path, root: Path) -> BinaryIO:
    """The file, open for reading. Raises OSError when it is none, or lies outside of `root` by way of links."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    # Where the descriptor really leads, on systems that tell.
    real = Path(f"/proc/self/fd/{descriptor}")
    place = real.readlink() if real.is_symlink() else path.resolve()
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if regular and place.is_relative_to(root.resolve()):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(f"{path.name} {'lies outside of its folder' if regular else 'is no regular file'}")


def copy_foreign(path: Path, root: Path, target: Path) -> None:
    """Copies such a file. Raises OSError."""
    with open_foreign(path, root) as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)


def read_foreign(path: Path, root: Path, limit_bytes: int) -> bytes:
    """The content of such a file. Raises OSError, also when it is larger than the limit."""
    with open_foreign(path, root) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise OSError(f"{path.name} is larger than {limit_bytes >> 20} MB")
    return content
