"""Reads a canonical dataset version: MANIFEST.json, samples.jsonl.gz and plain tar shards, cached by hash."""

from __future__ import annotations

import fcntl
import gzip
import json
import mmap
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from .contracts import DatasetManifest, DatasetSample, DatasetShard, Samples
from .failures import FailureCode, TrainerFailure
from .sample_checks import check_sample, check_whole
from .storage import HashMismatch, ObjectMissing, ObjectTooLarge, Storage, join_uri

# (bytes fetched so far, bytes in all)
DownloadProgress = Callable[[int, int], None]

# A sample's id becomes a file name when a dataset is converted, so it may not hold a path.
_SAMPLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_OBJECT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
# The index of ten million samples stays below; a longer one is no index but a trap.
_LONGEST_INDEX_BYTES = 8 << 30
_LONGEST_LINE_BYTES = 64 << 20


class DatasetReader:
    """One dataset version, its shards on the local disk. Made by `open_dataset`.

    Files are read by their byte position inside the shard, so nothing is ever unpacked. Safe to use from several
    threads and, after a fork, from several processes.
    """

    def __init__(self, manifest: DatasetManifest, samples: list[DatasetSample], shards: dict[str, Path]) -> None:
        self.manifest = manifest
        self.samples = samples
        self._shards = shards
        self._maps: dict[str, mmap.mmap] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[DatasetReader], tuple[DatasetManifest, list[DatasetSample], dict[str, Path]]]:
        """Another process of the same host opens the same files."""
        return DatasetReader, (self.manifest, self.samples, self._shards)

    @property
    def classes(self) -> list[str]:
        """Class names in index order."""
        return self.manifest.classes

    def split(self, name: str) -> list[DatasetSample]:
        """The samples of one split, in the order of the index."""
        return [sample for sample in self.samples if sample.split == name]

    def read(self, sample: DatasetSample) -> bytes:
        """The sample's file as it was uploaded. Raises DATASET_INVALID when the shard is too short."""
        return self._slice(sample.shard, sample.member, sample.offset, sample.bytes)

    def read_mask(self, sample: DatasetSample) -> bytes:
        """The PNG with the sample's class indices. Raises DATASET_INVALID when there is none."""
        if sample.mask is None:
            raise _invalid(f"{sample.id} has no mask")
        return self._slice(sample.shard, sample.mask.member, sample.mask.offset, sample.mask.bytes)

    def _slice(self, shard: str, member: str, offset: int, size: int) -> bytes:
        content = self._map(shard)[offset : offset + size]
        if len(content) != size:
            raise _invalid(f"{member} lies outside of shard {shard}")
        return content

    def _map(self, shard: str) -> mmap.mmap:
        mapped = self._maps.get(shard)
        if mapped is None:
            with self._lock, self._shards[shard].open("rb") as file:
                mapped = self._maps.setdefault(shard, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return mapped


def open_dataset(
    storage: Storage,
    dataset_uri: str,
    cache_dir: Path,
    *,
    splits: tuple[str, ...] | None = None,
    task_type: str | None = None,
    on_progress: DownloadProgress = lambda done, total: None,
) -> DatasetReader:
    """Fetches what is not yet in `cache_dir`, verified against the manifest, and opens the dataset.

    Names of shards and of the index (`shards/train-00000.tar`, `samples.jsonl.gz`) are relative to `dataset_uri`, and a
    sample names its shard the same way. `splits` limits which shards are fetched (all by default); `task_type` is the
    task it must be made for. Raises TrainerFailure: DATASET_INVALID when the version is incomplete, contradicts its
    manifest or is made for another task, STORAGE_FAILURE when the storage cannot be reached.
    """
    manifest = _read_manifest(storage, dataset_uri)
    if task_type is not None and manifest.task_type != task_type:
        raise _invalid(f"it is made for {manifest.task_type}, and the job is {task_type}")
    shards = [shard for shard in manifest.shards if splits is None or shard.split in splits]
    total = manifest.samples.bytes + sum(shard.bytes for shard in shards)
    done = 0
    paths: dict[str, Path] = {}
    items: list[Samples | DatasetShard] = [manifest.samples, *shards]
    for item in items:
        uri = join_uri(dataset_uri, item.name)
        try:
            paths[item.name] = _cached(storage, uri, cache_dir, item.sha256, item.bytes)
        except (ObjectMissing, ObjectTooLarge, HashMismatch) as error:
            raise _invalid(error.message) from error
        done += item.bytes
        on_progress(done, total)
    samples = list(_read_samples(paths.pop(manifest.samples.name), manifest, set(paths)))
    return DatasetReader(manifest, samples, paths)


def training_splits(reader: DatasetReader) -> tuple[list[DatasetSample], list[DatasetSample]]:
    """(training samples, validation samples): `val`, or `test` where there is no val.

    Raises DATASET_INVALID where one cannot train with them: fewer than two training samples, nothing to validate with,
    too few classes for the task, an annotation that is missing or out of range. The sentence names the sample.
    """
    train, val = reader.split("train"), reader.split("val") or reader.split("test")
    problem = check_whole(reader.manifest, train, val)
    if problem:
        raise _invalid(problem)
    for sample in (*train, *val):
        problem = check_sample(sample, reader.manifest)
        if problem:
            raise _invalid(f"{sample.id} ({sample.member}) {problem}")
    return train, val


def _read_manifest(storage: Storage, dataset_uri: str) -> DatasetManifest:
    uri = join_uri(dataset_uri, "MANIFEST.json")
    try:
        manifest = DatasetManifest.model_validate_json(storage.read_bytes(uri))
    except ObjectMissing as error:
        raise _invalid(f"{uri} does not exist: the version is not complete") from error
    except ObjectTooLarge as error:
        raise _invalid(error.message) from error
    except ValidationError as error:
        raise _invalid(f"{uri} is not a dataset manifest: {_first_problem(error)}") from error
    for name in (manifest.samples.name, *(shard.name for shard in manifest.shards)):
        if not _OBJECT_NAME.fullmatch(name):
            raise _invalid(f"{uri} names an object {name[:100]!r}")
    return manifest


def _read_samples(path: Path, manifest: DatasetManifest, shards: set[str]) -> Iterator[DatasetSample]:
    """The samples whose shard was fetched. The index is held against the manifest: names, splits, number of lines."""
    split_of = {shard.name: shard.split for shard in manifest.shards}
    seen: set[str] = set()
    try:
        for line in _lines(path):
            raw = json.loads(line)
            shard, name = str(raw["shard"]), str(raw["id"])
            if shard not in split_of:
                raise _invalid(f"the sample index names a shard that the manifest does not: {shard[:100]!r}")
            if not _SAMPLE_ID.fullmatch(name) or name in seen:
                raise _invalid(f"the sample index holds a bad or repeated id {name[:100]!r}")
            seen.add(name)
            if shard not in shards:
                continue
            sample = DatasetSample.model_validate(raw)
            if sample.split != split_of[shard]:
                raise _invalid(f"{name} is of split {sample.split[:100]!r}, its shard is not")
            yield sample
    except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _invalid(f"the sample index cannot be read: {type(error).__name__}") from error
    if len(seen) != manifest.samples.count:
        raise _invalid(f"the sample index has {len(seen)} lines, the manifest says {manifest.samples.count}")


def _lines(path: Path) -> Iterator[bytes]:
    """The unpacked lines. Raises ValueError for an index that unpacks to more than any index holds."""
    total = 0
    with gzip.open(path, "rb") as file:
        while line := file.readline(_LONGEST_LINE_BYTES):
            total += len(line)
            if total > _LONGEST_INDEX_BYTES or len(line) >= _LONGEST_LINE_BYTES:
                raise ValueError("the index is too long")
            yield line


def _cached(storage: Storage, uri: str, cache_dir: Path, sha256: str, size: int) -> Path:
    """The path of the object in the cache. The name is the hash, and only verified content ever gets that name."""
    path = cache_dir / "sha256" / sha256[:2] / sha256
    if not _is_complete(path, size):
        with _only_one_process(path):
            if not _is_complete(path, size):
                storage.download(uri, path, sha256=sha256, limit_bytes=size)
    if path.stat().st_size != size:
        raise _invalid(f"{uri} has {path.stat().st_size} bytes, the manifest says {size}")
    return path


def _is_complete(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


@contextmanager
def _only_one_process(path: Path) -> Iterator[None]:
    """Two jobs on one host that want the same shard fetch it once; a lock dies with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _invalid(reason: str) -> TrainerFailure:
    return TrainerFailure(FailureCode.DATASET_INVALID, f"The dataset cannot be read: {reason}.")
