"""The annotations of one COCO image: boxes, polygons and run lengths, key points, captions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .annotation_spool import AnnotationSpool
from .caption_check import checked_captions
from .coco_file import Id
from .findings import Code
from .formats import INSTANCES, POSE
from .geometry import frame_of
from .image_check import ImageFacts
from .labels import Labels, SourceFile
from .limits import Limits
from .object_check import ObjectRules, RawObject, checked_objects, within_limit


@dataclass(frozen=True, slots=True)
class CocoKey:
    """Which file's which image; `size` (width, height) as the file states it."""

    file: int
    image: Id
    size: tuple[int, int] | None


class ObjectLabeller:
    """Turns the annotations of an image into objects. `index_of` maps category ids, which may have gaps, to classes."""

    def __init__(self, spool: AnnotationSpool, index_of: dict[Id, int], names: list[str], rules: ObjectRules) -> None:
        self._spool = spool
        self._index_of = index_of
        self._names = names
        self._rules = rules

    def classes(self) -> list[str]:
        """Category names in the order of their ids."""
        return self._names

    def collect(self, file: SourceFile) -> list[str]:
        """The JSON texts of the image's annotations."""
        return self._spool.read((file.key.file, file.key.image))

    def label(self, file: SourceFile, collected: list[str], facts: ImageFacts) -> Labels:
        """Objects, checked against the image."""
        labels = Labels()
        frame = frame_of(facts, file.key.size, labels)
        if frame is None:
            return labels
        if not within_limit(len(collected), self._rules, labels):
            return labels
        entries = [json.loads(text) for text in collected]
        raws = [raw for entry in entries if (raw := self._raw(entry, labels)) is not None]
        checked_objects(raws, frame, self._rules, labels)
        return labels

    def _raw(self, entry: dict[str, Any], labels: Labels) -> RawObject | None:
        where = f"annotation {str(entry.get('id', '?'))[:40]}"
        category = entry.get("category_id")
        index = self._index_of.get(category) if isinstance(category, int | str) else None
        if index is None:
            labels.bad(Code.CATEGORY_UNKNOWN, f"{where}: the category {category!r} is not in categories.")
            return None
        raw = RawObject(where, index, crowd=entry.get("iscrowd") in (1, True))
        box = entry.get("bbox")
        if isinstance(box, list) and box:
            if len(box) != 4:
                labels.bad(Code.BOX_INVALID, f"{where}: bbox has {len(box)} numbers, expected x, y, width, height.")
                return None
            raw.box = (box[0], box[1], box[2], box[3])
        if self._rules.task == INSTANCES or raw.box is None:
            _add_outline(raw, entry.get("segmentation"))
        if self._rules.task == POSE and not _add_keypoints(raw, entry.get("keypoints"), labels):
            return None
        return raw


def _add_outline(raw: RawObject, value: Any) -> None:
    """A list of polygons, one polygon, or {size, counts}; anything else is no outline."""
    if isinstance(value, list) and value:
        nested = all(isinstance(points, list) for points in value)
        raw.polygons = value if nested else [value]
    elif isinstance(value, dict):
        size, counts = value.get("size"), value.get("counts")
        height, width = size if isinstance(size, list) and len(size) == 2 else (None, None)
        raw.rle = (height, width, counts if isinstance(counts, str | list) else [None])  # type: ignore[list-item]


def _add_keypoints(raw: RawObject, value: Any, labels: Labels) -> bool:
    """x, y, visibility in one flat list. False, noted, when its length is no multiple of three."""
    if not isinstance(value, list) or not value:
        return True
    if len(value) % 3:
        reason = f"{raw.where}: keypoints has {len(value)} numbers, expected x, y and visibility for each."
        labels.bad(Code.KEYPOINT_COUNT_MISMATCH, reason)
        return False
    raw.keypoints = [(value[at], value[at + 1], value[at + 2]) for at in range(0, len(value), 3)]
    return True


class CaptionLabeller:
    """The captions of COCO's captions_<split>.json."""

    def __init__(self, spool: AnnotationSpool, limits: Limits) -> None:
        self._spool = spool
        self._limits = limits

    def classes(self) -> list[str]:
        """Captioning has no classes."""
        return []

    def collect(self, file: SourceFile) -> list[str]:
        """The JSON texts of the image's annotations."""
        return self._spool.read((file.key.file, file.key.image))

    def label(self, file: SourceFile, collected: list[str], facts: ImageFacts) -> Labels:
        """Captions in the order of the file."""
        labels = Labels()
        checked_captions([json.loads(text).get("caption") for text in collected], self._limits, labels)
        return labels
