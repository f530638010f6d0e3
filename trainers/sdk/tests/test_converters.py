"""The canonical dataset in other people's formats, read back by their own rules."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from canonical_folder import write_canonical
from dataset_writer import open_folder
from digit_scenes import Scene, make_splits
from PIL import Image
from pycocotools.coco import COCO

from vision_trainer.converters import write_coco, write_huggingface, write_image_folder, write_yolo
from vision_trainer.dataset import DatasetReader
from vision_trainer.masks import object_mask, polygons_to_mask

COUNTS = {"train": 4, "val": 2}


def reader_of(folder: Path, task: str, **options: Any) -> DatasetReader:
    write_canonical(folder, task, make_splits(task, COUNTS, 2, 64, **options))
    return open_folder(folder)


def test_image_folder_has_a_folder_for_every_class(tmp_path: Path) -> None:
    reader = reader_of(tmp_path / "a", "image_classification", digits=(3, 5))
    folder = write_image_folder(reader, tmp_path / "b")
    for split, count in COUNTS.items():
        assert len(list((folder / split).iterdir())) == len(reader.classes)
        assert len(list((folder / split).rglob("*.png"))) == count
    sample = reader.samples[0]
    assert (folder / "train" / f"{sample.label:04d}" / f"{sample.id}.png").read_bytes() == reader.read(sample)


@pytest.mark.parametrize("outlines", ["polygons", "rle"])
def test_yolo_segments_cover_the_masks(outlines: str, tmp_path: Path) -> None:
    reader = reader_of(tmp_path / "a", "instance_segmentation", outlines=outlines)
    data = write_yolo(reader, tmp_path / "b")
    assert f'path: "{tmp_path / "b"}"' in data.read_text()
    assert "download" not in data.read_text()
    for sample in reader.samples:
        lines = (tmp_path / "b" / "labels" / sample.split / f"{sample.id}.txt").read_text().splitlines()
        assert len(lines) == len(sample.objects or [])
        for line, entry in zip(lines, sample.objects or [], strict=True):
            category, *shares = line.split()
            assert int(category) == entry.category
            ring = [float(share) * 64 for share in shares]
            assert (polygons_to_mask([ring], 64, 64) == object_mask(entry, 64, 64)).mean() > 0.999


def test_yolo_boxes_and_key_points(tmp_path: Path) -> None:
    reader = reader_of(tmp_path / "a", "pose_estimation")
    data = write_yolo(reader, tmp_path / "b").read_text()
    assert "kpt_shape: [5, 3]" in data
    assert "flip_idx: [0, 1, 3, 2, 4]" in data
    sample = reader.samples[0]
    assert sample.objects
    line = (tmp_path / "b/labels/train" / f"{sample.id}.txt").read_text().splitlines()[0].split()
    x, y, width, height = sample.objects[0].box
    expected = [x + width / 2, y + height / 2, width, height]
    assert [float(share) * 64 for share in line[1:5]] == pytest.approx(expected, abs=1e-3)
    assert len(line) == 5 + 3 * 5
    assert line[7] == "2"


def test_yolo_without_val_uses_test_and_an_image_without_objects_has_an_empty_file(tmp_path: Path) -> None:
    empty = [Scene(Image.new("RGB", (16, 16)), objects=[])]
    scenes = make_splits("object_detection", {"train": 2, "test": 1}, 2, 64)
    write_canonical(tmp_path / "a", "object_detection", {**scenes, "train": [*scenes["train"], *empty]})
    data = write_yolo(open_folder(tmp_path / "a"), tmp_path / "b").read_text()
    assert 'val: "images/test"' in data
    assert (tmp_path / "b/labels/train/train-00000002.txt").read_text() == ""


@pytest.mark.parametrize("outlines", ["polygons", "rle"])
def test_coco_is_read_by_pycocotools(outlines: str, tmp_path: Path) -> None:
    reader = reader_of(tmp_path / "a", "instance_segmentation", outlines=outlines)
    files = write_coco(reader, tmp_path / "b")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(files["train"])
    samples = reader.split("train")
    assert len(coco.imgs) == len(samples)
    assert [coco.cats[index]["name"] for index in sorted(coco.cats)] == reader.classes
    for sample, image in zip(samples, coco.imgs.values(), strict=True):
        assert (tmp_path / "b/images/train" / image["file_name"]).read_bytes() == reader.read(sample)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        for annotation, entry in zip(annotations, sample.objects or [], strict=True):
            mask = object_mask(entry, 64, 64)
            assert annotation["id"] > 0
            assert annotation["area"] == mask.sum()
            theirs = coco.annToMask(annotation).astype(bool)
            assert (theirs & mask).sum() / (theirs | mask).sum() > 0.93


def test_coco_key_points_and_captions(tmp_path: Path) -> None:
    pose = reader_of(tmp_path / "pose", "pose_estimation")
    content = json.loads(write_coco(pose, tmp_path / "a")["val"].read_text())
    assert content["categories"][0]["skeleton"][0] == [1, 5]
    assert content["annotations"][0]["num_keypoints"] == 5
    captions = reader_of(tmp_path / "captions", "image_captioning")
    content = json.loads(write_coco(captions, tmp_path / "b")["val"].read_text())
    assert [entry["caption"] for entry in content["annotations"]] == [
        caption for sample in captions.split("val") for caption in sample.captions or []
    ]


@pytest.mark.parametrize(
    ("task", "column"),
    [
        ("image_classification", "label"),
        ("object_detection", "objects"),
        ("semantic_segmentation", "mask_file_name"),
        ("image_captioning", "text"),
    ],
)
def test_hugging_faces_image_folder(task: str, column: str, tmp_path: Path) -> None:
    reader = reader_of(tmp_path / "a", task)
    folder = write_huggingface(reader, tmp_path / "b")
    rows = [json.loads(line) for line in (folder / "train/metadata.jsonl").read_text().splitlines()]
    assert len(rows) == COUNTS["train"]
    for row, sample in zip(rows, reader.split("train"), strict=True):
        assert (folder / "train" / row["file_name"]).read_bytes() == reader.read(sample)
        assert column in row
        if sample.objects is not None:
            assert row["objects"]["category"] == [entry.category for entry in sample.objects]
        if sample.mask is not None:
            assert (folder / "train" / row["mask_file_name"]).read_bytes() == reader.read_mask(sample)


def test_a_turned_picture_is_written_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.arange(24 * 40 * 3, dtype=np.uint8).reshape(24, 40, 3))
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    scene = Scene(stored, objects=[])
    write_canonical(tmp_path / "a", "object_detection", {"train": [scene]})
    reader = open_folder(tmp_path / "a")
    sample = reader.samples[0].model_copy(
        update={"offset": 0, "bytes": len(buffer.getvalue()), "width": 24, "height": 40}
    )
    (tmp_path / "turned").write_bytes(buffer.getvalue())
    turned = DatasetReader(reader.manifest, [sample], {sample.shard: tmp_path / "turned"})
    write_coco(turned, tmp_path / "b")
    with Image.open(tmp_path / "b/images/train/train-00000000.png") as image:
        assert image.size == (24, 40)
        assert image.getexif().get(0x0112, 1) == 1
        assert image.tobytes() == stored.transpose(Image.Transpose.ROTATE_270).tobytes()
