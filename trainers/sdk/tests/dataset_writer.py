"""Writes a canonical dataset version into the S3 server, the way trainers/dataset lays it out."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vision_trainer.contracts import DatasetManifest, DatasetSample
from vision_trainer.dataset import DatasetReader
from vision_trainer.storage import Storage, join_uri


@dataclass(frozen=True)
class Picture:
    """One image file of the dataset to write."""

    split: str
    label: int
    width: int
    height: int
    content: bytes


def write_dataset(storage: Storage, uri: str, classes: list[str], pictures: Iterable[Picture]) -> DatasetManifest:
    """One shard a split, the sample index, MANIFEST.json last. Returns the manifest."""
    by_split: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_split.setdefault(picture.split, []).append(picture)
    shards, lines = [], []
    for split, members in by_split.items():
        name = f"shards/{split}-00000.tar"
        tar_bytes, samples = _shard(name, split, members)
        storage.upload_bytes(tar_bytes, join_uri(uri, name))
        shards.append({"name": name, "split": split, "samples": len(members), **_size_and_hash(tar_bytes)})
        lines += samples
    index = gzip.compress("".join(lines).encode(), mtime=0)
    storage.upload_bytes(index, join_uri(uri, "samples.jsonl.gz"))
    manifest = DatasetManifest.model_validate(
        {
            "v": 1,
            "dataset_id": 1,
            "version": 1,
            "task_type": "image_classification",
            "classes": classes,
            "counts": {split: len(members) for split, members in by_split.items()},
            "class_counts": {
                split: [sum(picture.label == label for picture in members) for label in range(len(classes))]
                for split, members in by_split.items()
            },
            "shards": shards,
            "samples": {"name": "samples.jsonl.gz", "count": len(lines), **_size_and_hash(index)},
            "source_format": "image_folder",
            "statistics": {},
        }
    )
    storage.upload_bytes(manifest.model_dump_json().encode(), join_uri(uri, "MANIFEST.json"))
    return manifest


def upload_dataset(storage: Storage, uri: str, folder: Path) -> DatasetManifest:
    """Puts a canonical version from a local folder (deploy/demo/digit_scenes.py) under `uri`. Returns its manifest."""
    storage.upload_folder(folder, uri, last="MANIFEST.json")
    return DatasetManifest.model_validate_json((folder / "MANIFEST.json").read_bytes())


def open_folder(folder: Path) -> DatasetReader:
    """A canonical version in a local folder, read without a storage."""
    manifest = DatasetManifest.model_validate_json((folder / "MANIFEST.json").read_bytes())
    lines = gzip.decompress((folder / manifest.samples.name).read_bytes()).splitlines()
    samples = [DatasetSample.model_validate_json(line) for line in lines]
    return DatasetReader(manifest, samples, {shard.name: folder / shard.name for shard in manifest.shards})


def _shard(name: str, split: str, members: list[Picture]) -> tuple[bytes, list[str]]:
    buffer = io.BytesIO()
    lines = []
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, picture in enumerate(members):
            info = tarfile.TarInfo(f"{split}-{number:06d}.png")
            info.size = len(picture.content)
            tar.addfile(info, io.BytesIO(picture.content))
            sample = {
                "id": f"{split}-{number:06d}",
                "split": split,
                "shard": name,
                "member": info.name,
                "width": picture.width,
                "height": picture.height,
                "label": picture.label,
                **_size_and_hash(picture.content),
            }
            lines.append(sample)
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as tar:
        offsets = {info.name: info.offset_data for info in tar}
    for sample in lines:
        sample["offset"] = offsets[str(sample["member"])]
    return buffer.getvalue(), [json.dumps(sample) + "\n" for sample in lines]


def _size_and_hash(content: bytes) -> dict[str, object]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
