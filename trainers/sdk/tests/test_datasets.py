"""Canonical datasets of every task: read, checked, and refused where a trainer could not work with them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_writer import open_folder, upload_dataset
from digit_scenes import TASKS, Scene, make_splits, write_canonical
from PIL import Image
from real_services import S3Server

from vision_trainer.dataset import open_dataset, training_splits
from vision_trainer.failures import TrainerFailure
from vision_trainer.images import decode_image, sample_image, sample_mask
from vision_trainer.storage import Storage

COUNTS = {"train": 5, "val": 2}


def written(folder: Path, task: str, **options: Any) -> Path:
    write_canonical(folder, task, make_splits(task, COUNTS, 1, 48, **options))
    return folder


def change_index(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Alters the sample index and makes the manifest agree with its new bytes."""
    path = folder / "samples.jsonl.gz"
    samples = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    change(samples)
    path.write_bytes(gzip.compress(b"".join(json.dumps(sample).encode() + b"\n" for sample in samples)))
    seal(folder)


def seal(folder: Path, **changes: Any) -> None:
    content = (folder / "samples.jsonl.gz").read_bytes()
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest["samples"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_read_back(task: str, storage: Storage, server: S3Server, tmp_path: Path) -> None:
    uri = f"s3://{server.bucket}/datasets/{secrets.token_hex(4)}"
    scenes = make_splits(task, COUNTS, 1, 48)
    write_canonical(tmp_path / "a", task, scenes)
    upload_dataset(storage, uri, tmp_path / "a")
    reader = open_dataset(storage, uri, tmp_path / "cache", task_type=task)
    train, val = training_splits(reader)
    assert [len(train), len(val)] == [5, 2]
    for sample, scene in zip(train, scenes["train"], strict=True):
        assert sample_image(reader, sample).tobytes() == scene.image.tobytes()
        if scene.mask is not None:
            assert (sample_mask(reader, sample) == scene.mask).all()
        shown = sample.model_dump(exclude_none=True)
        for field in ("label", "captions"):
            assert shown.get(field) == getattr(scene, field)
        assert json.loads(json.dumps(shown.get("objects"))) == scene.objects
    elsewhere = pickle.loads(pickle.dumps(reader))
    assert elsewhere.read(val[0]) == reader.read(val[0])
    other = TASKS[TASKS.index(task) - 1]
    with pytest.raises(TrainerFailure, match=f"made for {task}, and the job is {other}") as caught:
        open_dataset(storage, uri, tmp_path / "cache", task_type=other)
    assert caught.value.exit_code == 3


def test_the_same_scenes_are_the_same_bytes(tmp_path: Path) -> None:
    one, two = written(tmp_path / "1", "instance_segmentation"), written(tmp_path / "2", "instance_segmentation")
    for path in sorted(path for path in one.rglob("*") if path.is_file()):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda sample: sample.__setitem__(key, value)


def _first(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda sample: sample["objects"][0].__setitem__(key, value)


@pytest.mark.parametrize(
    ("task", "change", "words"),
    [
        ("image_classification", _set("label", 10), "has label 10"),
        ("image_classification", lambda sample: sample.pop("label"), "has label None"),
        ("object_detection", lambda sample: sample.pop("objects"), "no list of objects"),
        ("object_detection", _first("category", 77), "class 77"),
        ("object_detection", _first("box", [0, 0, 0, 5]), "empty or outside"),
        ("object_detection", _first("box", [0, 0, 500, 5]), "empty or outside"),
        ("object_detection", _first("box", [float("nan"), 0, 5, 5]), "empty or outside"),
        ("instance_segmentation", lambda sample: sample["objects"][0].pop("polygons"), "without an outline"),
        ("instance_segmentation", _first("polygons", [[1, 2, 3, 4]]), "three points"),
        ("pose_estimation", lambda sample: sample["objects"][0].pop("keypoints"), "0 key points"),
        ("pose_estimation", _first("keypoints", [[1, 1, 2]] * 4), "4 key points"),
        ("semantic_segmentation", lambda sample: sample.pop("mask"), "no mask"),
        ("image_captioning", lambda sample: sample.pop("captions"), "no caption"),
        ("image_captioning", _set("captions", ["  "]), "no caption"),
    ],
)
def test_a_missing_or_impossible_annotation_names_its_sample(
    task: str, change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
) -> None:
    change_index(written(tmp_path, task), lambda samples: change(samples[2]))
    with pytest.raises(TrainerFailure, match=words) as caught:
        training_splits(open_folder(tmp_path))
    assert caught.value.exit_code == 3
    assert "train-00000002" in caught.value.message


@pytest.mark.parametrize(
    ("task", "scenes", "changes", "words"),
    [
        ("object_detection", {"train": 1, "val": 1}, {}, "train has 1 samples"),
        ("object_detection", {"train": 3}, {}, "neither a val nor a test"),
        ("object_detection", {"train": 3, "val": 1}, {"classes": []}, "needs 1 classes or more"),
        ("image_classification", {"train": 3, "val": 1}, {"classes": ["one"]}, "needs 2 classes or more"),
        ("pose_estimation", {"train": 3, "val": 1}, {"keypoints": None}, "does not name the key points"),
    ],
)
def test_a_dataset_too_small_for_its_task_is_refused(
    task: str, scenes: dict[str, int], changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    write_canonical(tmp_path, task, make_splits(task, scenes, 1, 48))
    seal(tmp_path, **changes)
    with pytest.raises(TrainerFailure, match=words):
        training_splits(open_folder(tmp_path))


def test_one_class_is_no_classification(tmp_path: Path) -> None:
    scenes = [Scene(Image.new("RGB", (8, 8)), label=1)] * 4
    write_canonical(tmp_path, "image_classification", {"train": scenes, "test": scenes})
    with pytest.raises(TrainerFailure, match="same class"):
        training_splits(open_folder(tmp_path))


def test_test_stands_in_for_a_missing_val(tmp_path: Path) -> None:
    write_canonical(tmp_path, "object_detection", make_splits("object_detection", {"train": 2, "test": 3}, 1, 48))
    assert [len(split) for split in training_splits(open_folder(tmp_path))] == [2, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda samples: samples[0].__setitem__("id", "../../etc/passwd"), "bad or repeated id"),
        (lambda samples: samples[0].__setitem__("id", samples[1]["id"]), "bad or repeated id"),
        (lambda samples: samples[0].__setitem__("shard", "shards/other.tar"), "names a shard"),
        (lambda samples: samples[0].__setitem__("split", "val"), "its shard is not"),
        (lambda samples: samples[0].__setitem__("offset", -1), "cannot be read"),
        (lambda samples: samples[0].__setitem__("width", "wide"), "cannot be read"),
        (lambda samples: samples[0].pop("shard"), "cannot be read"),
        (lambda samples: samples.pop(), "has 6 lines, the manifest says 7"),
    ],
)
def test_a_poisoned_index_is_refused(
    change: Callable[[list[dict[str, Any]]], None], words: str, storage: Storage, server: S3Server, tmp_path: Path
) -> None:
    uri = f"s3://{server.bucket}/datasets/{secrets.token_hex(4)}"
    change_index(written(tmp_path / "a", "object_detection"), change)
    upload_dataset(storage, uri, tmp_path / "a")
    with pytest.raises(TrainerFailure, match=words) as caught:
        open_dataset(storage, uri, tmp_path / "cache")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("MANIFEST.json", b"{", "not a dataset manifest"),
        ("MANIFEST.json", b"[" * 100_000, "not a dataset manifest"),
        ("samples.jsonl.gz", b"no gzip", "sample index cannot be read"),
        ("samples.jsonl.gz", gzip.compress(b"[" * 100_000 + b"\n"), "sample index cannot be read"),
    ],
)
def test_a_damaged_version_is_refused(
    name: str, content: bytes, words: str, storage: Storage, server: S3Server, tmp_path: Path
) -> None:
    uri = f"s3://{server.bucket}/datasets/{secrets.token_hex(4)}"
    folder = written(tmp_path / "a", "object_detection")
    (folder / name).write_bytes(content)
    if name != "MANIFEST.json":
        seal(folder)
    upload_dataset_as_it_is(storage, uri, folder)
    with pytest.raises(TrainerFailure, match=words) as caught:
        open_dataset(storage, uri, tmp_path / "cache")
    assert caught.value.exit_code == 3


def upload_dataset_as_it_is(storage: Storage, uri: str, folder: Path) -> None:
    storage.upload_folder(folder, uri)


def test_a_manifest_may_not_reach_outside(storage: Storage, server: S3Server, tmp_path: Path) -> None:
    uri = f"s3://{server.bucket}/datasets/{secrets.token_hex(4)}"
    folder = written(tmp_path / "a", "object_detection")
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest["shards"][0]["name"] = "../other/shards/train-00000.tar"
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    upload_dataset_as_it_is(storage, uri, folder)
    with pytest.raises(TrainerFailure, match="names an object"):
        open_dataset(storage, uri, tmp_path / "cache")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation: int) -> None:
    upright = Image.new("RGB", (40, 24), (0, 0, 200))
    upright.paste((250, 0, 0), (0, 0, 20, 12))
    # How a camera stores it that must be turned this way to stand upright.
    stored_by = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(stored_by[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    decoded = decode_image(buffer.getvalue(), "a.png")
    assert (decoded.size, decoded.tobytes()) == (upright.size, upright.tobytes())


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_is_named(content: bytes) -> None:
    with pytest.raises(TrainerFailure, match=r"a\.png cannot be decoded") as caught:
        decode_image(content, "a.png")
    assert caught.value.exit_code == 3


def test_an_image_of_another_size_than_its_index_says_is_refused(tmp_path: Path) -> None:
    change_index(written(tmp_path, "object_detection"), lambda samples: samples[0].__setitem__("width", 50))
    reader = open_folder(tmp_path)
    with pytest.raises(TrainerFailure, match="48 x 48 pixels, its index says 50 x 48"):
        sample_image(reader, reader.samples[0])


def test_masks_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    scenes = make_splits("semantic_segmentation", COUNTS, 1, 48)
    high = Scene(scenes["train"][0].image, mask=np.full((48, 48), 42, np.uint8))
    small = Scene(scenes["train"][0].image, mask=np.zeros((8, 8), np.uint8))
    ignored = Scene(scenes["train"][0].image, mask=np.full((48, 48), 255, np.uint8))
    write_canonical(tmp_path, "semantic_segmentation", {"train": [high, small, ignored], "val": scenes["val"]})
    reader = open_folder(tmp_path)
    for sample, words in zip(reader.samples, ("holds class 42", "8 x 8 pixels"), strict=False):
        with pytest.raises(TrainerFailure, match=words):
            sample_mask(reader, sample)
    assert (sample_mask(reader, reader.samples[2]) == 255).all()
