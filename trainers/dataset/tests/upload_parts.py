"""Small uploads in every format: two images, one in train and one in val, right but for what a test changes."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from PIL import Image

from hostile_archives import Entry, zip_of
from image_files import encoded

WIDTH, HEIGHT = 40, 20
DETECTION, INSTANCES, POSE = "object_detection", "instance_segmentation", "pose_estimation"
SEMANTIC, CAPTIONING, CLASSIFICATION = "semantic_segmentation", "image_captioning", "image_classification"
SPLITS = ("train", "val")


def picture(number: int = 0, kind: str = "PNG", size: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> bytes:
    return encoded(kind, shade=number, size=size, **options)


def turned_picture(number: int) -> bytes:
    """Stored WIDTH x HEIGHT, upright HEIGHT x WIDTH."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(number, "JPEG", exif=exif)


# COCO ---------------------------------------------------------------------------------------------------------------


def annotation(number: int = 1, image: int = 1, **changes: Any) -> dict[str, Any]:
    found = {"id": number, "image_id": image, "category_id": 7, "bbox": [2, 3, 10, 8], "iscrowd": 0}
    return {name: value for name, value in (found | changes).items() if value is not None}


def coco_file(number: int, *annotations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One image with the id 1; categories with gaps between their ids."""
    found: dict[str, Any] = {
        "images": [{"id": 1, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}],
        "annotations": list(annotations) or [annotation()],
    }
    return found | changes


def coco(*annotations: dict[str, Any], extra: tuple[Entry, ...] = (), **changes: Any) -> bytes:
    """A good val, and a train with the given annotations and other top-level changes."""
    kept = {name: value for name, value in changes.items() if name in ("categories",)}
    return zip_of(
        ("train/0.png", picture(0)),
        ("val/1.png", picture(1)),
        ("annotations/instances_train.json", json.dumps(coco_file(0, *annotations, **changes)).encode()),
        ("annotations/instances_val.json", json.dumps(coco_file(1, *VAL_OBJECTS, **kept)).encode()),
        *extra,
    )


SQUARE = [4.0, 4.0, 10.0, 4.0, 10.0, 9.0, 4.0, 9.0]
VAL_OBJECTS = [
    annotation(segmentation=[SQUARE], keypoints=[5, 5, 2, 6, 6, 1]),
    annotation(2, category_id=90, segmentation=[SQUARE], keypoints=[5, 5, 2, 6, 6, 1]),
]
POINTS = [
    {"id": i, "name": n, "keypoints": ["left_eye", "right_eye"], "skeleton": [[1, 2]]}
    for i, n in ((7, "cat"), (90, "dog"))
]


def posed(*annotations: dict[str, Any], **changes: Any) -> bytes:
    return coco(*annotations, **({"categories": POINTS} | changes))


def raw_coco(text: bytes) -> bytes:
    return zip_of(("train/0.png", picture()), ("annotations/instances_train.json", text))


def coco_image(**changes: Any) -> dict[str, Any]:
    return {"images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT} | changes]}


# YOLO ---------------------------------------------------------------------------------------------------------------

DATA = "path: ../datasets/pets\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"
ROWS = "0 0.5 0.5 0.2 0.2\n1 0.3 0.3 0.1 0.1\n"
OUTLINES = "0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.2 0.2 0.4 0.2 0.4 0.4\n"
POSES = "0 0.5 0.5 0.2 0.2 0.5 0.5 2\n1 0.3 0.3 0.1 0.1 0.3 0.3 1\n"


def yolo(rows: str = ROWS, *extra: Entry, data: str = DATA, val_rows: str = ROWS) -> bytes:
    return zip_of(
        ("data.yaml", data.encode()),
        ("images/train/0.png", picture(0)),
        ("labels/train/0.txt", rows.encode()),
        ("images/val/1.png", picture(1)),
        ("labels/val/1.txt", val_rows.encode()),
        *extra,
    )


# Pascal VOC ---------------------------------------------------------------------------------------------------------


def voc_file(*objects: tuple[str, Any, Any, Any, Any], size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    told = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in objects or [("cat", 1, 1, 10, 10), ("dog", 5, 5, 9, 9)]
    )
    return f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{told}</annotation>".encode()


def voc(train: bytes = b"", *extra: Entry, sets: tuple[str, str] = ("0\n", "1\n")) -> bytes:
    return zip_of(
        ("JPEGImages/0.png", picture(0)),
        ("JPEGImages/1.png", picture(1)),
        ("Annotations/0.xml", train or voc_file()),
        ("Annotations/1.xml", voc_file()),
        *((f"ImageSets/Main/{split}.txt", names.encode()) for split, names in zip(SPLITS, sets, strict=True)),
        *extra,
    )


# Masks --------------------------------------------------------------------------------------------------------------


def mask(*values: int, mode: str = "L", size: tuple[int, int] = (WIDTH, HEIGHT), kind: str = "PNG") -> bytes:
    """Stripes of the values (or, for colours, of values three by three)."""
    stripes = np.array(values).reshape(-1, 3 if mode == "RGB" else 1)
    row = stripes[np.arange(size[0]) * len(stripes) // size[0]].squeeze(-1 if mode != "RGB" else ())
    pixels = np.repeat(row[None], size[1], axis=0)
    image = Image.fromarray(pixels.astype(np.uint16 if mode == "I;16" else np.uint8))
    if mode == "P":
        image.putpalette(bytes((37 * at + part * 11) % 256 for at in range(256) for part in range(3)))
    buffer = io.BytesIO()
    (image.point(lambda value: 255 * value, "1") if mode == "1" else image).save(buffer, kind)
    return buffer.getvalue()


def masks(train: bytes, *extra: Entry, classes: str | None = "ground\ncat\n", val: bytes | None = None) -> bytes:
    named: list[Entry] = [] if classes is None else [("classes.txt", classes.encode())]
    return zip_of(
        ("images/train/0.png", picture(0)),
        ("images/val/1.png", picture(1)),
        ("masks/train/0.png", train),
        ("masks/val/1.png", val or mask(0, 1)),
        *named,
        *extra,
    )


# Captions -----------------------------------------------------------------------------------------------------------


def captions(*rows: Any, extra: tuple[Entry, ...] = ()) -> bytes:
    told = [
        row if isinstance(row, str) else json.dumps(row) for row in (*rows, {"file_name": "val/1.png", "text": "a dog"})
    ]
    return zip_of(
        ("train/0.png", picture(0)), ("val/1.png", picture(1)), ("captions.jsonl", "\n".join(told).encode()), *extra
    )


def caption(value: Any = "a cat", **changes: Any) -> dict[str, Any]:
    return {"file_name": "train/0.png", "text": value} | changes
