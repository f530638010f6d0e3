"""Annotations on the local disk, found by image: a dataset's worth of polygons does not fit into memory."""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from pathlib import Path


class AnnotationSpool:
    """Texts grouped by key. All are added first, then read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._end = 0
        # Position and length in turn, 16 bytes an annotation.
        self._places: dict[Hashable, array[int]] = {}

    def add(self, key: Hashable, text: str) -> None:
        """Keeps one more text for `key`. Raises OSError when the disk is full."""
        data = text.encode("utf-8", "surrogatepass")
        self._file.write(data)
        self._places.setdefault(key, array("Q")).extend((self._end, len(data)))
        self._end += len(data)

    def count(self, key: Hashable) -> int:
        """How many texts there are for `key`."""
        return len(self._places.get(key, ())) // 2

    def read(self, key: Hashable) -> list[str]:
        """The texts of `key`, in the order in which they were added."""
        places = self._places.get(key, array("Q"))
        texts = []
        for position, length in zip(places[::2], places[1::2], strict=True):
            self._file.seek(position)
            texts.append(self._file.read(length).decode("utf-8", "surrogatepass"))
        return texts

    def close(self) -> None:
        """Lets the file go; whoever made the folder removes it."""
        self._file.close()
