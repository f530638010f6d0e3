"""Writes scenes as a canonical dataset version into a local folder, as trainers/dataset lays it out in the storage."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scene import ALL_DIGITS, KEYPOINTS, Scene, class_names

SPLIT_ORDER = ("train", "val", "test")
_MEDIA = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


def write_canonical(
    folder: Path,
    task: str,
    scenes_by_split: Mapping[str, Sequence[Scene]],
    *,
    digits: Sequence[int] = ALL_DIGITS,
    classes: Sequence[str] | None = None,
    dataset_id: int = 1,
    version: int = 1,
    image_format: str = "png",
) -> dict[str, Any]:
    """MANIFEST.json, samples.jsonl.gz and shards/<split>-00000.tar below `folder`. Returns the manifest.

    `classes` replaces the names that follow from `digits`. The same scenes give the same bytes.
    """
    names = list(classes) if classes is not None else class_names(task, digits)
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    shards = []
    counts: dict[str, int] = {}
    class_counts: dict[str, list[int]] = {}
    for split in sorted(scenes_by_split, key=_split_place):
        name = f"shards/{split}-00000.tar"
        samples = _write_shard(folder / name, name, split, scenes_by_split[split], image_format)
        shards.append({"name": name, "split": split, "samples": len(samples), **_facts((folder / name).read_bytes())})
        counts[split] = len(samples)
        class_counts[split] = _class_counts(scenes_by_split[split], len(names))
        lines += samples
    index = gzip.compress(b"".join(_json(line) + b"\n" for line in lines), 6, mtime=0)
    (folder / "samples.jsonl.gz").write_bytes(index)
    manifest: dict[str, Any] = {
        "v": 1,
        "dataset_id": dataset_id,
        "version": version,
        "task_type": task,
        "classes": names,
        "counts": counts,
        "class_counts": class_counts,
        "shards": shards,
        "samples": {"name": "samples.jsonl.gz", "count": len(lines), **_facts(index)},
        "source_format": "digit_scenes",
        "statistics": {},
    }
    if task == "pose_estimation":
        manifest["keypoints"] = KEYPOINTS
    (folder / "MANIFEST.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    return manifest


def _split_place(split: str) -> tuple[int, str]:
    return (SPLIT_ORDER.index(split) if split in SPLIT_ORDER else len(SPLIT_ORDER), split)


def _write_shard(path: Path, name: str, split: str, scenes: Sequence[Scene], image_format: str) -> list[dict[str, Any]]:
    samples = []
    with path.open("wb") as shard:
        for number, scene in enumerate(scenes):
            sample_id = f"{split}-{number:08d}"
            content = _encoded(scene.image, _MEDIA[image_format])
            sample: dict[str, Any] = {
                "id": sample_id,
                "split": split,
                "shard": name,
                **_append(shard, f"{sample_id}.{image_format}", content),
                "width": scene.image.width,
                "height": scene.image.height,
            }
            for field in ("label", "objects", "captions"):
                value = getattr(scene, field)
                if value is not None:
                    sample[field] = value
            if scene.mask is not None:
                mask = _encoded(Image.fromarray(scene.mask), "PNG")
                sample["mask"] = _append(shard, f"{sample_id}.mask.png", mask)
            samples.append(sample)
        # The end mark is two empty blocks, and the whole fills records of 20 blocks, as every tar reader expects.
        shard.write(bytes(2 * tarfile.BLOCKSIZE))
        shard.write(bytes(-shard.tell() % tarfile.RECORDSIZE))
    return samples


def _append(shard: io.BufferedWriter, member: str, content: bytes) -> dict[str, Any]:
    """Appends one member; returns where its content lies in the shard, how long it is and its hash."""
    # TarInfo's defaults are the deterministic ones: mode 0644, no owner, time 0.
    info = tarfile.TarInfo(member)
    info.size = len(content)
    shard.write(info.tobuf(tarfile.USTAR_FORMAT))
    offset = shard.tell()
    shard.write(content)
    shard.write(bytes(-len(content) % tarfile.BLOCKSIZE))
    return {"member": member, "offset": offset, **_facts(content)}


def _class_counts(scenes: Sequence[Scene], classes: int) -> list[int]:
    """Per class: samples (classification), objects, or samples whose mask shows it."""
    found = [0] * classes
    for scene in scenes:
        shown = [] if scene.label is None else [scene.label]
        shown += [entry["category"] for entry in scene.objects or []]
        if scene.mask is not None:
            shown += [int(value) for value in np.unique(scene.mask) if value != 255]
        # A scene with a class that is none belongs into tests of what reads it.
        for category in shown:
            if category < classes:
                found[category] += 1
    return found


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _facts(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
