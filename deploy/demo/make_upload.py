"""Writes digit scenes as a zip for upload, in any format that the platform takes for the task.

Run twice with the same seed, it writes the same bytes.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

from digit_scenes import ALL_DIGITS, KEYPOINTS, TASKS, Scene, class_names, make_splits
from make_digits import damage, write_zip

Files = list[tuple[str, bytes]]
Scenes = Mapping[str, Sequence[Scene]]

_OBJECT_TASKS = ("object_detection", "instance_segmentation", "pose_estimation")
# Which formats can tell what a task needs.
FORMATS = {
    "image_folder": ("image_classification",),
    "coco": (*_OBJECT_TASKS, "image_captioning"),
    "yolo": _OBJECT_TASKS,
    "voc": ("object_detection",),
    "masks": ("semantic_segmentation",),
    "captions": ("image_captioning",),
}
_COCO_NAMES = {"pose_estimation": "person_keypoints", "image_captioning": "captions"}
# Of the scenes, so many are validation: a fifth.
_VAL_SHARE = 5


def upload_files(task: str, format_name: str, scenes: Scenes, *, digits: Sequence[int] = ALL_DIGITS) -> Files:
    """(name, content) of all files of the upload, images in PNG. Raises ValueError when the format cannot tell the task."""
    if task not in FORMATS.get(format_name, ()):
        fitting = ", ".join(name for name, tasks in FORMATS.items() if task in tasks)
        raise ValueError(f"format: found {format_name!r}, expected one of {fitting} for {task}")
    writers: dict[str, Callable[[str, Scenes, list[str]], Files]] = {
        "image_folder": _image_folder,
        "coco": _coco,
        "yolo": _yolo,
        "voc": _voc,
        "masks": _masks,
        "captions": _captions,
    }
    return writers[format_name](task, scenes, class_names(task, digits))


def scene_name(split: str, number: int) -> str:
    """The file name of a scene without suffix; unique over all splits, as most formats ask for."""
    return f"{split}-{number:04d}"


def _named(scenes: Scenes) -> list[tuple[str, str, Scene]]:
    return [
        (split, scene_name(split, at), scene) for split, several in scenes.items() for at, scene in enumerate(several)
    ]


def _images(scenes: Scenes, place: str) -> Files:
    """`place` is a format string of split and name."""
    return [(place.format(split=split, name=name), _png(scene.image)) for split, name, scene in _named(scenes)]


def _image_folder(task: str, scenes: Scenes, classes: list[str]) -> Files:
    files = []
    for split, name, scene in _named(scenes):
        assert scene.label is not None
        files.append((f"{split}/{classes[scene.label]}/{name}.png", _png(scene.image)))
    return files


def _coco(task: str, scenes: Scenes, classes: list[str]) -> Files:
    files = _images(scenes, "{split}/{name}.png")
    for split, several in scenes.items():
        content = _coco_file(task, split, several, classes)
        name = f"annotations/{_COCO_NAMES.get(task, 'instances')}_{split}.json"
        files.append((name, json.dumps(content, indent=1).encode()))
    return files


def _coco_file(task: str, split: str, scenes: Sequence[Scene], classes: list[str]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes, start=1):
        width, height = scene.image.size
        name = f"{scene_name(split, number - 1)}.png"
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        told = [_coco_object(found) for found in scene.objects or []]
        told += [{"caption": caption} for caption in scene.captions or []]
        for entry in told:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
    # As in COCO, ids and the indices of a skeleton count from 1.
    shared = {}
    if task == "pose_estimation":
        skeleton = [[one + 1, other + 1] for one, other in KEYPOINTS["skeleton"]]
        shared = {"keypoints": KEYPOINTS["names"], "skeleton": skeleton}
    categories = [{"id": index + 1, "name": name, **shared} for index, name in enumerate(classes)]
    found: dict[str, Any] = {"images": images, "annotations": annotations}
    return found if task == "image_captioning" else found | {"categories": categories}


def _coco_object(found: dict[str, Any]) -> dict[str, Any]:
    _, _, width, height = found["box"]
    entry: dict[str, Any] = {
        "category_id": found["category"] + 1,
        "bbox": found["box"],
        "area": width * height,
        "iscrowd": 0,
    }
    if "polygons" in found:
        entry["segmentation"] = found["polygons"]
    if "rle" in found:
        entry["segmentation"] = found["rle"]
    if "keypoints" in found:
        entry["keypoints"] = [value for point in found["keypoints"] for value in point]
        entry["num_keypoints"] = sum(point[2] > 0 for point in found["keypoints"])
    return entry


def _yolo(task: str, scenes: Scenes, classes: list[str]) -> Files:
    files = _images(scenes, "images/{split}/{name}.png")
    for split, name, scene in _named(scenes):
        rows = [_yolo_row(task, found, scene.image.width, scene.image.height) for found in scene.objects or []]
        files.append((f"labels/{split}/{name}.txt", "".join(f"{row}\n" for row in rows).encode()))
    lines = [f"{split}: images/{split}" for split in scenes]
    lines += ["names:", *(f"  {index}: {json.dumps(name)}" for index, name in enumerate(classes))]
    if task == "pose_estimation":
        lines += [f"kpt_shape: [{len(KEYPOINTS['names'])}, 3]", f"flip_idx: {KEYPOINTS['flip_indices']}"]
        lines += ["kpt_names:", f"  0: {json.dumps(KEYPOINTS['names'])}"]
    files.append(("data.yaml", "".join(f"{line}\n" for line in lines).encode()))
    return files


def _yolo_row(task: str, found: dict[str, Any], width: int, height: int) -> str:
    x, y, box_width, box_height = found["box"]
    shares = [(x + box_width / 2) / width, (y + box_height / 2) / height, box_width / width, box_height / height]
    if task == "instance_segmentation":
        points = _joined(found["polygons"])
        shares = [value / (height if at % 2 else width) for at, value in enumerate(points)]
    numbers = [f"{share:.6f}" for share in shares]
    for px, py, seen in found.get("keypoints", ()):
        numbers += [f"{px / width:.6f}", f"{py / height:.6f}", f"{seen:.0f}"]
    return " ".join([str(found["category"]), *numbers])


def _joined(polygons: list[list[float]]) -> list[float]:
    """One polygon out of several pieces, joined by bridges without width: YOLO has one outline for an object."""
    first = polygons[0]
    joined = first[:]
    for piece in polygons[1:]:
        joined += [*first[:2], *piece, *piece[:2]]
    return joined


def _voc(task: str, scenes: Scenes, classes: list[str]) -> Files:
    files = _images(scenes, "JPEGImages/{name}.png")
    for _, name, scene in _named(scenes):
        files.append((f"Annotations/{name}.xml", _voc_file(name, scene, classes).encode()))
    for split, several in scenes.items():
        names = "".join(f"{scene_name(split, number)}\n" for number in range(len(several)))
        files.append((f"ImageSets/Main/{split}.txt", names.encode()))
    return files


def _voc_file(name: str, scene: Scene, classes: list[str]) -> str:
    lines = [f"<filename>{escape(name)}.png</filename>"]
    width, height = scene.image.size
    lines.append(f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>")
    for found in scene.objects or []:
        x, y, box_width, box_height = (round(value) for value in found["box"])
        # The corners of VOC count from 1 and belong to the box.
        corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + box_width, "ymax": y + box_height}
        box = "".join(f"<{corner}>{value}</{corner}>" for corner, value in corners.items())
        label = escape(classes[found["category"]])
        lines.append(f"<object><name>{label}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>")
    return "<annotation>\n" + "".join(f"  {line}\n" for line in lines) + "</annotation>\n"


def _masks(task: str, scenes: Scenes, classes: list[str]) -> Files:
    files = _images(scenes, "images/{split}/{name}.png")
    for split, name, scene in _named(scenes):
        assert scene.mask is not None
        files.append((f"masks/{split}/{name}.png", _png(Image.fromarray(scene.mask))))
    files.append(("classes.txt", "".join(f"{name}\n" for name in classes).encode()))
    return files


def _captions(task: str, scenes: Scenes, classes: list[str]) -> Files:
    files = _images(scenes, "{split}/{name}.png")
    rows = [{"file_name": f"{split}/{name}.png", "captions": scene.captions} for split, name, scene in _named(scenes)]
    files.append(("captions.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode()))
    return files


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def damaged(files: Files, count: int) -> Files:
    """The same files with `count` images broken; annotations stay whole."""
    is_image = [name.endswith(".png") and not name.startswith("masks/") for name, _ in files]
    images = iter(damage([file for file, image in zip(files, is_image, strict=True) if image], count))
    return [next(images) if image else file for file, image in zip(files, is_image, strict=True)]


def main() -> None:
    """Reads the command line and writes the zip."""
    parser = argparse.ArgumentParser(description="Writes digit scenes as a zip for upload.")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--format", choices=tuple(FORMATS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="the zip to write")
    parser.add_argument("--count", type=int, default=60, help="scenes, a fifth of them validation (60)")
    parser.add_argument("--size", type=int, default=96, help="side of the images in pixels (96)")
    parser.add_argument("--digits", default="0123456789", help="the digits that appear, such as 038 (all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--damage", type=int, default=0, metavar="N", help="break N images, to see findings")
    arguments = parser.parse_args()
    if arguments.count < 2:
        parser.error(f"--count: found {arguments.count}, expected 2 or more")
    if not arguments.digits.isdigit():
        parser.error(f"--digits: found {arguments.digits!r}, expected digits such as 038")
    digits = tuple(sorted({int(digit) for digit in arguments.digits}))
    val = max(1, arguments.count // _VAL_SHARE)
    counts = {"train": arguments.count - val, "val": val}
    scenes = make_splits(arguments.task, counts, arguments.seed, arguments.size, digits=digits)
    try:
        files = upload_files(arguments.task, arguments.format, scenes, digits=digits)
    except ValueError as error:
        parser.error(f"--{error}")
    # Under another name first: whoever finds the zip finds all of it.
    partial = arguments.out.with_name(arguments.out.name + ".part")
    write_zip(partial, damaged(files, arguments.damage) if arguments.damage else files)
    partial.replace(arguments.out)
    print(f"{sum(map(len, scenes.values()))} images, {arguments.out.stat().st_size} bytes: {arguments.out}")


if __name__ == "__main__":
    main()
