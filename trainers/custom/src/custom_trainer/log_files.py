"""Lines as they grow: split at \\r and \\n, never longer than 64 KiB, from pipes and from files that may be begun
anew."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator
from pathlib import Path

LONGEST_LINE = 64 * 1024
_READ_AT_ONCE = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MOST_FILES = 64


class LineSplitter:
    """Puts pieces together to lines. A line that ends with a carriage return alone was drawn over (a progress bar)."""

    def __init__(self) -> None:
        self._rest = b""
        self._cut = False

    def feed(self, piece: bytes) -> Iterator[tuple[str, bool]]:
        """(line, whether it stays) for each whole line. What goes beyond 64 KiB of a line is dropped."""
        start = 0
        data = self._rest + piece
        for end in _LINE_END.finditer(data):
            if end.group() == b"\r" and end.end() == len(data) and len(data) < LONGEST_LINE:
                # The next piece may begin with \n; \r\n is one end.
                break
            line, start = data[start : end.start()], end.end()
            if line and not self._cut:
                yield line[:LONGEST_LINE].decode(errors="replace"), end.group() != b"\r"
            self._cut = False
        self._rest = data[start:]
        if len(self._rest) > LONGEST_LINE:
            if not self._cut:
                yield self._rest[:LONGEST_LINE].decode(errors="replace"), True
            self._cut, self._rest = True, b""

    def rest(self) -> Iterator[tuple[str, bool]]:
        """The last line, when it has no end."""
        line, self._rest = self._rest.strip(b"\r\n"), b""
        if line and not self._cut:
            yield line[:LONGEST_LINE].decode(errors="replace"), True


class _Tail:
    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.splitter = LineSplitter()


class LogFiles:
    """Follows all files of a glob. What is there at the beginning counts as read; `header` gets its first line."""

    def __init__(self, pattern: str, *, header: Callable[[Path, str], None] = lambda path, line: None) -> None:
        self._pattern = pattern
        self._tails: dict[Path, _Tail] = {}
        for path in self._files():
            self._tails[path] = _Tail(path.stat().st_size)
            with path.open("rb") as file:
                header(path, file.readline(LONGEST_LINE).decode(errors="replace").strip())

    def poll(self, *, last: bool = False) -> Iterator[tuple[Path, str]]:
        """(file, line) of what was added since. `last`: also a line without an end."""
        for path in self._files():
            tail = self._tails.setdefault(path, _Tail(0))
            try:
                size = path.stat().st_size
                if size < tail.offset:
                    tail.offset, tail.splitter = 0, LineSplitter()
                while tail.offset < size:
                    with path.open("rb") as file:
                        file.seek(tail.offset)
                        piece = file.read(_READ_AT_ONCE)
                    if not piece:
                        break
                    tail.offset += len(piece)
                    yield from ((path, line) for line, _ in tail.splitter.feed(piece))
            except OSError:
                continue
            if last:
                yield from ((path, line) for line, _ in tail.splitter.rest())

    def _files(self) -> list[Path]:
        return [Path(name) for name in matching(self._pattern)[:_MOST_FILES] if is_plain(name)]


def matching(pattern: str) -> list[str]:
    """The names that fit an absolute glob, in order; `**` goes into folders."""
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - the pattern is absolute


def is_plain(name: str) -> bool:
    """A regular file that is no link: foreign code may lay links to what it may not read itself."""
    path = Path(name)
    return path.is_file() and not path.is_symlink()
