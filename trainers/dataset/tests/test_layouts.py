"""Layouts that other tools write, and splits where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from digit_outlines import run_lengths

from built_versions import version_from, version_of
from dataset_trainer.version_builder import BuildOptions
from hostile_archives import Entry
from upload_parts import (
    DATA,
    DETECTION,
    HEIGHT,
    INSTANCES,
    POSES,
    ROWS,
    SEMANTIC,
    WIDTH,
    annotation,
    coco,
    coco_file,
    coco_image,
    mask,
    masks,
    picture,
    posed,
    turned_picture,
    voc_file,
    yolo,
)

COLOURED = mask(9, 9, 9, 255, 0, 0, 0, 0, 0, mode="RGB")
COLOURS = [
    {"name": "ground", "color": [9, 9, 9]},
    {"name": "cat", "color": [255, 0, 0]},
    {"name": "void", "color": [0, 0, 0]},
]
CAT_AND_DOG = [annotation(), annotation(2, category_id=90)]


def test_roboflow_coco(tmp_path: Path) -> None:
    entries: list[Entry] = [("README.roboflow.txt", b"hello")]
    for number, folder in enumerate(("train", "valid", "test")):
        content = json.dumps(coco_file(number, *CAT_AND_DOG)).encode()
        entries += [(f"{folder}/{number}.png", picture(number)), (f"{folder}/_annotations.coco.json", content)]
    version = version_of(tmp_path, DETECTION, *entries)
    assert version.built.counts == {"train": 1, "val": 1, "test": 1}


def test_official_coco_with_its_other_files(tmp_path: Path) -> None:
    entries: list[Entry] = []
    for number, split in enumerate(("train", "val")):
        content = coco_file(number, *CAT_AND_DOG)
        content["images"][0]["file_name"] = "000000000001.png"
        entries.append((f"coco/{split}2017/000000000001.png", picture(number)))
        for kind in ("instances", "captions", "person_keypoints"):
            name = f"coco/annotations/{kind}_{split}2017.json"
            entries.append(
                (name, json.dumps(content if kind == "instances" else {"images": [], "annotations": []}).encode())
            )
    version = version_of(tmp_path, DETECTION, *entries)
    assert {sample["split"]: name for name, sample in version.samples.items()} == {
        "train": "coco/train2017/000000000001.png",
        "val": "coco/val2017/000000000001.png",
    }


def test_one_coco_file_is_split_here(tmp_path: Path) -> None:
    images = [{"id": f"n{n}", "file_name": f"sub/{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(10)]
    objects = [annotation(2 * n + k, f"n{n}", category_id=c) for n in range(10) for k, c in enumerate((7, 90))]  # type: ignore[arg-type]
    content = json.dumps(coco_file(0, *objects, images=images)).encode()
    entries = [("annotations.json", content), *((f"images/sub/{n}.png", picture(n)) for n in range(10))]
    version = version_of(tmp_path, DETECTION, *entries)
    assert version.built.split_here
    assert version.built.counts == {"train": 8, "val": 2}
    assert version.built.class_counts == {"train": [8, 8], "val": [2, 2]}
    again = version_of(tmp_path, DETECTION, *entries, options=BuildOptions(seed=1, task=DETECTION))
    assert {n for n, s in again.samples.items() if s["split"] == "val"} != {
        n for n, s in version.samples.items() if s["split"] == "val"
    }


def test_coco_run_lengths_of_all_kinds_are_one(tmp_path: Path) -> None:
    # A square of 2 x 2 pixels at column 1, row 3, in an image 20 pixels high.
    square = np.zeros((HEIGHT, WIDTH), np.bool_)
    square[3:5, 1:3] = True
    kinds = ([23, 2, 18, 2, HEIGHT * WIDTH - 45], run_lengths(square))
    found = []
    for counts in kinds:
        told = annotation(bbox=None, iscrowd=1, segmentation={"size": [HEIGHT, WIDTH], "counts": counts})
        version = version_from(tmp_path, INSTANCES, coco(told, annotation(2, segmentation=[[1, 1, 5, 1, 5, 5]])))
        found.append(version.samples["train/0.png"]["objects"][0])
    assert found[0]["box"] == [1, 3, 2, 2]
    assert found[0]["crowd"] is True
    assert found[0]["rle"]["size"] == [HEIGHT, WIDTH]
    assert found[0] == found[1]


def test_coco_key_points_know_their_mirror_images(tmp_path: Path) -> None:
    version = version_from(tmp_path, "pose_estimation", posed(annotation(keypoints=[5, 5, 2, 0, 0, 0])))
    assert version.built.keypoints == {
        "names": ["left_eye", "right_eye"],
        "flip_indices": [1, 0],
        "skeleton": [[0, 1]],
    }
    assert version.samples["train/0.png"]["objects"][0]["keypoints"] == [[5, 5, 2], [0, 0, 0]]


def test_annotations_of_stored_pixels_are_turned_along(tmp_path: Path) -> None:
    # Orientation 6: what is stored on the left is the top of the upright image.
    box, outline = [0, 0, 10, 5], [[0, 0, 10, 0, 10, 5, 0, 5]]
    told = annotation(bbox=box, segmentation=outline)
    runs = annotation(2, bbox=None, segmentation={"size": [HEIGHT, WIDTH], "counts": [0, 5] + [15, 5] * 9 + [615]})
    image = coco_image(file_name="t.jpg")
    version = version_from(tmp_path, INSTANCES, coco(told, runs, extra=(("train/t.jpg", turned_picture(3)),), **image))
    sample = version.samples["train/t.jpg"]
    assert (sample["width"], sample["height"], sample["orientation"]) == (HEIGHT, WIDTH, 6)
    assert [found["box"] for found in sample["objects"]] == [[15, 0, 5, 10], [15, 0, 5, 10]]
    assert "TURNED_WITH_EXIF" in version.codes


def test_annotations_of_the_upright_image_stay(tmp_path: Path) -> None:
    image = coco_image(file_name="t.jpg", width=HEIGHT, height=WIDTH)
    told = annotation(bbox=[1, 30, 5, 5])
    version = version_from(tmp_path, DETECTION, coco(told, extra=(("train/t.jpg", turned_picture(3)),), **image))
    assert version.samples["train/t.jpg"]["objects"][0]["box"] == [1, 30, 5, 5]
    assert "TURNED_WITH_EXIF" not in version.codes


@pytest.mark.parametrize(
    ("data", "images", "labels"),
    [
        ("train: ../train/images\nval: ../valid/images\n", "{folder}/images", "{folder}/labels"),
        ("path: /me/pets\ntrain: images/train\nval: [images/valid]\n", "pets/images/{folder}", "pets/labels/{folder}"),
        ("", "images/{folder}", "labels/{folder}"),
        ("", "{folder}", "{folder}"),
    ],
    ids=["roboflow", "absolute path", "no paths", "text beside images"],
)  # fmt: skip
def test_yolo_layouts(data: str, images: str, labels: str, tmp_path: Path) -> None:
    entries: list[Entry] = [("data.yaml", (data + "names: {0: cat, 1: dog}\n").encode())]
    for number, folder in enumerate(("train", "valid")):
        entries.append((f"{images.format(folder=folder)}/{number}.png", picture(number)))
        entries.append((f"{labels.format(folder=folder)}/{number}.txt", ROWS.encode()))
    version = version_of(tmp_path, DETECTION, *entries)
    assert version.built.counts == {"train": 1, "val": 1}
    assert version.built.class_counts == {"train": [1, 1], "val": [1, 1]}
    assert version.codes == set()


def test_yolo_lists_of_images(tmp_path: Path) -> None:
    lists = (("train.txt", b"./images/train/0.png\n"), ("val.txt", b"/data/pets/images/val/1.png\n"))
    data = "train: train.txt\nval: val.txt\nnames: [cat, dog]\n"
    assert version_from(tmp_path, DETECTION, yolo(ROWS, *lists, data=data)).built.counts == {"train": 1, "val": 1}


def test_yolo_without_splits_and_without_yaml(tmp_path: Path) -> None:
    entries = [("classes.txt", b"cat\ndog\n")]
    entries += [(f"images/{n}.png", picture(n)) for n in range(10)] + [
        (f"labels/{n}.txt", ROWS.encode()) for n in range(10)
    ]
    version = version_of(tmp_path, DETECTION, *entries)
    assert (version.built.counts, version.built.split_here) == ({"train": 8, "val": 2}, True)


def test_yolo_outlines_serve_detection_too(tmp_path: Path) -> None:
    version = version_from(tmp_path, DETECTION, yolo("0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.5 0.5 0.1 0.1\n"))
    assert version.samples["images/train/0.png"]["objects"][0] == {"category": 0, "box": [4, 2, 16, 8]}


def test_yolo_key_points_without_visibility(tmp_path: Path) -> None:
    rows = "0 0.5 0.5 0.2 0.2 0.5 0.5 0 0\n1 0.5 0.5 0.2 0.2 0.5 0.5 0.6 0.6\n"
    version = version_from(tmp_path, "pose_estimation", yolo(rows, data=DATA + "kpt_shape: [2, 2]\n", val_rows=rows))
    assert version.samples["images/train/0.png"]["objects"][0]["keypoints"] == [[20, 10, 2], [0, 0, 0]]
    assert version.built.keypoints == {"names": ["point_0", "point_1"], "flip_indices": [0, 1], "skeleton": []}
    boxes = version_from(tmp_path, DETECTION, yolo(POSES, data=DATA + "kpt_shape: [1, 3]\n", val_rows=POSES))
    assert boxes.samples["images/train/0.png"]["objects"][0] == {"category": 0, "box": [16, 8, 8, 4]}


def test_voc_counts_from_one_and_difficult_ones_are_crowds(tmp_path: Path) -> None:
    text = voc_file(("cat", 1, 1, WIDTH, HEIGHT), ("dog", 5, 6, 5, 6))
    text = text.replace(b"</name>", b"</name><difficult>1</difficult>", 1)
    entries = [(f"{split}/{n}.{kind}", content) for n, split in enumerate(("train", "valid"))
               for kind, content in (("png", picture(n)), ("xml", text))]  # fmt: skip
    version = version_of(tmp_path, DETECTION, *entries)
    assert version.built.layout == "folders"
    assert version.samples["train/0.png"]["objects"] == [
        {"category": 0, "box": [0, 0, WIDTH, HEIGHT], "crowd": True},
        {"category": 1, "box": [4, 5, 1, 1]},
    ]


@pytest.mark.parametrize(
    ("content", "classes"),
    [
        (mask(0, 1, 255), ("classes.txt", b"ground\ncat\n")),
        (mask(0, 1, 255, mode="P"), ("classes.json", b'["ground", "cat"]')),
        (mask(0, 1, 255), ("classes.json", b'{"ground": 0, "cat": 1}')),
        (mask(0, 1, 255), ("classes.json", b'{"0": "ground", "1": "cat"}')),
        (mask(0, 1, 255, mode="I;16"), ("classes.txt", b"ground\ncat\n")),
        (mask(0, 0, 0, 1, 1, 1, 255, 255, 255, mode="RGB"), ("classes.txt", b"ground\ncat\n")),
        (COLOURED, ("labelmap.txt", b"# c\nground:9,9,9::\ncat:255,0,0::\nvoid:0,0,0::\n")),
        (COLOURED, ("classes.json", json.dumps(COLOURS).encode())),
    ],
    ids=["grey", "palette", "by name", "by index", "16 bits", "grey as colour", "labelmap", "colours in JSON"],
)  # fmt: skip
def test_masks_of_every_kind_become_one(content: bytes, classes: Entry, tmp_path: Path) -> None:
    version = version_from(tmp_path, SEMANTIC, masks(content, classes, classes=None, val=content))
    assert version.built.classes == ["ground", "cat"]
    assert version.built.class_counts == {"train": [1, 1], "val": [1, 1]}
    expected = np.repeat([0, 1, 255], (14, 13, 13))
    assert (version.mask("images/train/0.png") == expected).all()
    assert version.built.statistics["ignored_share"] == 0.325


def test_binary_masks_of_one_bit(tmp_path: Path) -> None:
    content = mask(0, 1, mode="1")
    version = version_from(tmp_path, SEMANTIC, masks(content, classes=None, val=content))
    assert version.built.classes == ["class_0", "class_1"]


def test_masks_of_stored_pixels_are_turned_along(tmp_path: Path) -> None:
    extra = (("images/train/t.jpg", turned_picture(5)), ("masks/train/t.png", mask(0, 1)))
    turned = version_from(tmp_path, SEMANTIC, masks(mask(0, 1), *extra)).mask("images/train/t.jpg")
    assert turned.shape == (WIDTH, HEIGHT)
    assert (turned[:20] == 0).all()
    assert (turned[20:] == 1).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.jsonl", '{"file_name": "%s", "caption": "a  cat"}\n'),
        ("captions.csv", "image;caption;split\n%s;a cat;{split}\n"),
        ("captions.csv", 'file_name,text\n"%s","a cat"\n'),
        ("captions.tsv.csv", "\ufefffile_name\ttext\n%s\ta cat\n"),
    ],
)
def test_caption_files(name: str, text: str, tmp_path: Path) -> None:
    entries: list[Entry] = []
    for number, split in enumerate(("train", "val")):
        content = (text % f"{number}.png").replace("{split}", split).encode()
        entries += [(f"{split}/{number}.png", picture(number)), (f"{split}/{name}", content)]
    version = version_of(tmp_path, "image_captioning", *entries)
    assert {sample["split"]: sample["captions"] for sample in version.samples.values()} == {
        "train": ["a cat"],
        "val": ["a cat"],
    }
    assert version.codes == set()


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    archive = masks(mask(0, 1), *((f"images/train/{n}.png", picture(n)) for n in range(2, 40)),
                    *((f"masks/train/{n}.png", mask(0, 1)) for n in range(2, 40)))  # fmt: skip
    one, two = (version_from(tmp_path, SEMANTIC, archive).built for _ in range(2))
    assert [shard.sha256 for shard in one.shards] == [shard.sha256 for shard in two.shards]
    assert one.samples_sha256 == two.samples_sha256
    assert one.statistics == two.statistics
