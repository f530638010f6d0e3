"""Writes the image files into plain tar shards whose bytes depend on nothing but their content and order."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished shard. `name` is its key below the dataset version; `path` where it waits for the upload."""

    name: str
    split: str
    samples: int
    bytes: int
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class StoredMember:
    """Where a file's content lies: `offset` bytes into the shard."""

    shard: str
    member: str
    offset: int


class ShardWriter:
    """Fills `<split>-00000.tar`, `<split>-00001.tar`, … in `folder`, none longer than `shard_bytes`.

    The blocks are written here and not by `TarFile`, which remembers every member it has written until it is closed.
    """

    def __init__(self, folder: Path, split: str, shard_bytes: int) -> None:
        self._folder = folder
        self._split = split
        self._shard_bytes = shard_bytes
        self._file: BinaryIO | None = None
        self._samples = 0
        self.shards: list[Shard] = []

    def add_sample(self, members: list[tuple[str, bytes]]) -> list[StoredMember]:
        """Appends the (name, content) of one sample: all into one shard, the next one when this would grow too long."""
        size = sum(_tar_bytes(len(data)) for _, data in members)
        if self._file is not None and self._file.tell() + size > self._shard_bytes:
            self.close()
        if self._file is None:
            self._file = self._path().open("wb")
        self._samples += 1
        return [self._append(self._file, member, data) for member, data in members]

    def _append(self, file: BinaryIO, member: str, data: bytes) -> StoredMember:
        # TarInfo's defaults are the deterministic ones: mode 0644, no owner, time 0.
        info = tarfile.TarInfo(member)
        info.size = len(data)
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        offset = file.tell()
        file.write(data)
        file.write(bytes(-len(data) % tarfile.BLOCKSIZE))
        return StoredMember(self._name(), member, offset)

    def close(self) -> None:
        """Finishes the open shard, if there is one."""
        if self._file is None:
            return
        # The end mark is two empty blocks, and the whole fills records of 20 blocks, as every tar reader expects.
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.write(bytes(-self._file.tell() % tarfile.RECORDSIZE))
        self._file.close()
        self._file = None
        path = self._path()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.shards.append(Shard(self._name(), self._split, self._samples, path.stat().st_size, digest, path))
        self._samples = 0

    def _name(self) -> str:
        return f"shards/{self._split}-{len(self.shards):05d}.tar"

    def _path(self) -> Path:
        return self._folder / f"{self._split}-{len(self.shards):05d}.tar"


def _tar_bytes(size: int) -> int:
    """An upper bound of what a file of `size` bytes adds, the end of the archive included."""
    return tarfile.BLOCKSIZE + size + tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE
