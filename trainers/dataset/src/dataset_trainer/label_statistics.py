"""Figures about the annotations of a version, for people: how many, how large, how long."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

from .image_check import ImageFacts
from .labels import Labels
from .mask_classes import MOST_CLASSES

# Quantiles are those of the first so many values: in seeded order, so a fair sample.
_KEPT_VALUES = 200_000
_QUANTILES = {"min": 0.0, "p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


class LabelStatistics:
    """Takes in the labels of one image after the other."""

    def __init__(self) -> None:
        self._objects: Counter[int] = Counter()
        self._crowds = 0
        self._backgrounds = 0
        self._with_objects = False
        self._values: dict[str, array[float]] = {}
        self._mask_pixels: Counter[int] = Counter()
        self._keypoints: Counter[int] = Counter()
        self._captions = 0

    def add(self, labels: Labels, facts: ImageFacts) -> None:
        """One usable image."""
        objects = labels.fields.get("objects")
        if objects is not None:
            self._add_objects(objects, facts)
        for text in labels.fields.get("captions", ()):
            self._captions += 1
            self._keep("caption_characters", len(text))
            self._keep("caption_words", len(text.split()))
        if labels.mask_pixels is not None:
            self._mask_pixels.update({value: count for value, count in enumerate(labels.mask_pixels) if count})

    def as_json(self, classes: list[str], keypoints: list[str]) -> dict[str, Any]:
        """Only what the task has. Rounded, so that no platform's last bit shows."""
        found: dict[str, Any] = {}
        if self._with_objects:
            found["objects_per_class"] = {name: self._objects[index] for index, name in enumerate(classes)}
            found["background_images"] = self._backgrounds
            found["crowds"] = self._crowds
        if keypoints:
            total = sum(self._objects.values()) or 1
            shares = {name: round(self._keypoints[index] / total, 4) for index, name in enumerate(keypoints)}
            found["keypoints_labelled"] = shares
        if self._mask_pixels:
            total = self._mask_pixels.total()
            shares = {name: round(self._mask_pixels[index] / total, 6) for index, name in enumerate(classes)}
            found["pixel_shares"] = shares
            found["ignored_share"] = round(self._mask_pixels[MOST_CLASSES] / total, 6)
        if self._captions:
            found["captions"] = self._captions
        return found | {name: _quantiles(values) for name, values in sorted(self._values.items())}

    def _add_objects(self, objects: list[dict[str, Any]], facts: ImageFacts) -> None:
        self._with_objects = True
        self._backgrounds += not objects
        width, height = facts.upright_size
        self._keep("objects_per_image", len(objects))
        for found in objects:
            self._objects[found["category"]] += 1
            self._crowds += bool(found.get("crowd"))
            _, _, box_width, box_height = found["box"]
            self._keep("box_width", box_width)
            self._keep("box_height", box_height)
            self._keep("box_area_share", box_width * box_height / (width * height))
            for index, point in enumerate(found.get("keypoints", ())):
                self._keypoints[index] += point[2] > 0

    def _keep(self, name: str, value: float) -> None:
        values = self._values.setdefault(name, array("d"))
        if len(values) < _KEPT_VALUES:
            values.append(value)


def _quantiles(values: array[float]) -> dict[str, float]:
    """By the nearest rank: a value that is there."""
    ordered = sorted(values)
    return {name: round(ordered[round(share * (len(ordered) - 1))], 4) for name, share in _QUANTILES.items()}
