"""Reads a canonical dataset version: MANIFEST.json, samples.jsonl.gz and plain tar shards, cached by hash."""

from __future__ import annotations

import fcntl
import gzip
import json
import mmap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from .contracts import DatasetManifest, DatasetSample, DatasetShard, Samples
from .failures import FailureCode, TrainerFailure
from .storage import HashMismatch, ObjectMissing, Storage, join_uri

# (bytes fetched so far, bytes in all)
DownloadProgress = Callable[[int, int], None]


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

    @property
    def classes(self) -> list[str]:
        """Class names in index order."""
        return self.manifest.classes

    def split(self, name: str) -> list[DatasetSample]:
        """The samples of one split, in the order of the index."""
        return [sample for sample in self.samples if sample.split == name]

    def read(self, sample: DatasetSample) -> bytes:
        """The sample's file as it was uploaded. Raises DATASET_INVALID when the shard is too short."""
        content = self._map(sample.shard)[sample.offset : sample.offset + sample.bytes]
        if len(content) != sample.bytes:
            raise _invalid(f"{sample.member} lies outside of shard {sample.shard}")
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
    on_progress: DownloadProgress = lambda done, total: None,
) -> DatasetReader:
    """Fetches what is not yet in `cache_dir`, verified against the manifest, and opens the dataset.

    Names of shards and of the index (`shards/train-00000.tar`, `samples.jsonl.gz`) are relative to `dataset_uri`, and a
    sample names its shard the same way. `splits` limits which shards are fetched (all by default). Raises
    TrainerFailure: DATASET_INVALID when the version is incomplete or contradicts its manifest, STORAGE_FAILURE when the
    storage cannot be reached.
    """
    manifest = _read_manifest(storage, dataset_uri)
    shards = [shard for shard in manifest.shards if splits is None or shard.split in splits]
    total = manifest.samples.bytes + sum(shard.bytes for shard in shards)
    done = 0
    paths: dict[str, Path] = {}
    items: list[Samples | DatasetShard] = [manifest.samples, *shards]
    for item in items:
        uri = join_uri(dataset_uri, item.name)
        try:
            paths[item.name] = _cached(storage, uri, cache_dir, item.sha256, item.bytes)
        except (ObjectMissing, HashMismatch) as error:
            raise _invalid(error.message) from error
        done += item.bytes
        on_progress(done, total)
    samples = list(_read_samples(paths.pop(manifest.samples.name), set(paths)))
    return DatasetReader(manifest, samples, paths)


def _read_manifest(storage: Storage, dataset_uri: str) -> DatasetManifest:
    uri = join_uri(dataset_uri, "MANIFEST.json")
    try:
        return DatasetManifest.model_validate_json(storage.read_bytes(uri))
    except ObjectMissing as error:
        raise _invalid(f"{uri} does not exist: the version is not complete") from error
    except ValidationError as error:
        raise _invalid(f"{uri} is not a dataset manifest: {_first_problem(error)}") from error


def _read_samples(path: Path, shards: set[str]) -> Iterator[DatasetSample]:
    """The samples whose shard was fetched."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                if json.loads(line)["shard"] in shards:
                    yield DatasetSample.model_validate_json(line)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _invalid(f"the sample index cannot be read: {type(error).__name__}") from error


def _cached(storage: Storage, uri: str, cache_dir: Path, sha256: str, size: int) -> Path:
    """The path of the object in the cache. The name is the hash, and only verified content ever gets that name."""
    path = cache_dir / "sha256" / sha256[:2] / sha256
    if not _is_complete(path, size):
        with _only_one_process(path):
            if not _is_complete(path, size):
                storage.download(uri, path, sha256=sha256)
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
