"""The canonical dataset in the folders that frameworks read: image folder, YOLO, COCO, Hugging Face.

All coordinates are of upright images. A file that carries a turn in its EXIF is written anew, upright; every other file
is copied byte for byte. Names are sample ids, which hold no path.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .contracts import DatasetSample, SampleObject
from .dataset import DatasetReader
from .image_files import write_image
from .mask_outlines import join_polygons
from .masks import mask_to_polygons, object_mask, rle_encode

_VISIBLE = 0


def write_image_folder(reader: DatasetReader, folder: Path) -> Path:
    """`<split>/<class index, 4 digits>/<id>.<ext>` for classification; index folders sort as the classes do."""
    for split in _splits(reader):
        # A class without a picture in this split still has its folder: readers count folders.
        for index in range(len(reader.classes)):
            (folder / split / f"{index:04d}").mkdir(parents=True, exist_ok=True)
    for sample in reader.samples:
        write_image(reader, sample, folder / sample.split / f"{sample.label or 0:04d}")
    return folder


def write_yolo(reader: DatasetReader, folder: Path) -> Path:
    """`images/<split>/`, `labels/<split>/<id>.txt` and data.yaml for detection, segmentation, pose. Returns its path.

    Lines are `class cx cy w h` with `x y v` for each key point, or `class x1 y1 x2 y2 …` for an outline, all as shares
    of the image's size. An outline in several pieces becomes one ring with bridges of no width, because YOLO knows one
    outline an object. Crowds have no counterpart and are left out. data.yaml holds no `download` line.
    """
    task = reader.manifest.task_type
    for split in _splits(reader):
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    for sample in reader.samples:
        write_image(reader, sample, folder / "images" / sample.split)
        lines = [_yolo_line(entry, sample, task) for entry in sample.objects or () if not entry.crowd]
        (folder / "labels" / sample.split / f"{sample.id}.txt").write_text(
            "".join(line + "\n" for line in lines if line)
        )
    splits = _splits(reader)
    described: dict[str, Any] = {"path": str(folder.resolve())}
    described |= {split: f"images/{split}" for split in splits}
    if "val" not in splits and "test" in splits:
        described["val"] = "images/test"
    described["names"] = dict(enumerate(reader.classes))
    keypoints = reader.manifest.keypoints
    if keypoints is not None:
        described["kpt_shape"] = [len(keypoints.names), 3]
        described["flip_idx"] = [int(index) for index in keypoints.flip_indices]
    path = folder / "data.yaml"
    # JSON is YAML, and its quoting leaves nothing to guess in a class named `no` or `1e3`.
    names = ", ".join(f"{index}: {json.dumps(name)}" for index, name in described.pop("names").items())
    lines = [f"{key}: {json.dumps(value)}" for key, value in described.items()]
    path.write_text("\n".join([*lines, f"names: {{{names}}}"]) + "\n")
    return path


def write_coco(reader: DatasetReader, folder: Path) -> dict[str, Path]:
    """`images/<split>/<id>.<ext>` and `annotations/<split>.json` a split, for objects and captions. Returns the files.

    Category ids are class indices, image and annotation ids count from 1, skeletons count from 1 as COCO's do. An
    object's area is its mask's, or its box's where there is no mask.
    """
    written = {}
    for split in _splits(reader):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, sample in enumerate(reader.split(split), start=1):
            path = write_image(reader, sample, folder / "images" / split)
            images.append(
                {
                    "id": number,
                    "file_name": path.name,
                    "width": sample.width,
                    "height": sample.height,
                    "sample_id": sample.id,
                }
            )
            entries = [_coco_object(entry, sample, reader.manifest.task_type) for entry in sample.objects or ()]
            entries += [{"caption": caption} for caption in sample.captions or ()]
            for entry in entries:
                annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
        content = {
            "info": {"description": f"dataset {reader.manifest.dataset_id} v{reader.manifest.version}, {split}"},
            "licenses": [],
            "images": images,
            "annotations": annotations,
            "categories": _coco_categories(reader),
        }
        path = folder / "annotations" / f"{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        written[split] = path
    return written


def write_huggingface(reader: DatasetReader, folder: Path) -> Path:
    """`<split>/<id>.<ext>` and `<split>/metadata.jsonl`, as `load_dataset("imagefolder", data_dir=folder)` reads it.

    Columns: `label`; `objects` {bbox, category, id, area, iscrowd, segmentation, keypoints}; `mask_file_name`, which
    the reader opens as the image `mask`; `text` and `captions`.
    """
    for split in _splits(reader):
        lines = []
        for sample in reader.split(split):
            path = write_image(reader, sample, folder / split)
            row: dict[str, Any] = {"file_name": path.name, "sample_id": sample.id}
            if sample.label is not None:
                row["label"] = sample.label
            if sample.objects is not None:
                entries = [_coco_object(entry, sample, reader.manifest.task_type) for entry in sample.objects]
                row["objects"] = _columns(entries)
            if sample.mask is not None:
                mask_path = folder / split / "masks" / f"{sample.id}.png"
                mask_path.parent.mkdir(parents=True, exist_ok=True)
                mask_path.write_bytes(reader.read_mask(sample))
                row["mask_file_name"] = f"masks/{mask_path.name}"
            if sample.captions:
                row |= {"text": sample.captions[0], "captions": sample.captions}
            lines.append(json.dumps(row) + "\n")
        (folder / split / "metadata.jsonl").write_text("".join(lines))
    return folder


def _splits(reader: DatasetReader) -> list[str]:
    """The splits that were fetched, in the order of the index."""
    return list(dict.fromkeys(sample.split for sample in reader.samples))


def _yolo_line(entry: SampleObject, sample: DatasetSample, task: str) -> str:
    """One label line; empty for an outline that covers no pixel."""
    width, height = sample.width, sample.height
    if task == "instance_segmentation":
        polygons = entry.polygons or mask_to_polygons(object_mask(entry, height, width))
        if not polygons:
            return ""
        ring = join_polygons(polygons)
        shares = [_share(value, height if position % 2 else width) for position, value in enumerate(ring)]
        return " ".join([str(entry.category), *shares])
    x, y, box_width, box_height = entry.box
    numbers = [(x + box_width / 2, width), (y + box_height / 2, height), (box_width, width), (box_height, height)]
    fields = [str(entry.category), *(_share(value, side) for value, side in numbers)]
    if task == "pose_estimation":
        for point in entry.keypoints or ():
            px, py, visibility = point.root
            fields += [_share(px, width), _share(py, height), str(int(visibility))]
    return " ".join(fields)


def _share(value: float, side: int) -> str:
    return f"{min(1.0, max(0.0, value / side)):.6f}"


def _coco_object(entry: SampleObject, sample: DatasetSample, task: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "category_id": entry.category,
        "bbox": list(entry.box),
        "area": entry.box[2] * entry.box[3],
        "iscrowd": int(bool(entry.crowd)),
    }
    if task == "instance_segmentation":
        mask = object_mask(entry, sample.height, sample.width)
        found["area"] = float(mask.sum())
        if entry.polygons and not entry.crowd:
            found["segmentation"] = entry.polygons
        else:
            rle = entry.rle or rle_encode(mask)
            found["segmentation"] = {"size": [int(side) for side in rle.size], "counts": rle.counts}
    if entry.keypoints is not None:
        found["keypoints"] = [value for point in entry.keypoints for value in point.root]
        found["num_keypoints"] = sum(point.root[2] > _VISIBLE for point in entry.keypoints)
    return found


def _coco_categories(reader: DatasetReader) -> list[dict[str, Any]]:
    categories: list[dict[str, Any]] = [{"id": index, "name": name} for index, name in enumerate(reader.classes)]
    keypoints = reader.manifest.keypoints
    if keypoints is not None:
        skeleton = [[int(index) + 1 for index in pair.root] for pair in keypoints.skeleton]
        for category in categories:
            category |= {"keypoints": keypoints.names, "skeleton": skeleton}
    return categories


def _columns(entries: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """A list of objects as columns, the form in which Hugging Face's datasets keep them."""
    names = {"bbox": "bbox", "category_id": "category", "area": "area", "iscrowd": "iscrowd"}
    columns: dict[str, list[Any]] = {theirs: [entry[ours] for entry in entries] for ours, theirs in names.items()}
    columns["id"] = list(range(len(entries)))
    for name in ("segmentation", "keypoints"):
        if any(name in entry for entry in entries):
            columns[name] = [entry.get(name) for entry in entries]
    return columns
