"""What a scene is, and what the classes and key points of the digits are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TASKS = (
    "image_classification",
    "object_detection",
    "instance_segmentation",
    "semantic_segmentation",
    "pose_estimation",
    "image_captioning",
)
ALL_DIGITS = tuple(range(10))
# Key points of a digit: the middle of the ink in its highest, lowest, leftmost and rightmost line, and its centroid.
# Indices count from 0, in `flip_indices` and in `skeleton`.
KEYPOINTS: dict[str, Any] = {
    "names": ["top", "bottom", "left", "right", "centre"],
    "flip_indices": [0, 1, 3, 2, 4],
    "skeleton": [[0, 4], [1, 4], [2, 4], [3, 4]],
}


@dataclass(frozen=True, slots=True)
class Scene:
    """One image (RGB) and the truth about it, in the words of `DatasetSample`; what its task does not have is None.

    `objects` are dictionaries like `SampleObject`: category, box [x, y, width, height] in pixels, and polygons or rle,
    or keypoints [[x, y, visibility]]. `mask` is height x width of class indices.
    """

    image: Image.Image
    label: int | None = None
    objects: list[dict[str, Any]] | None = None
    mask: NDArray[np.uint8] | None = None
    captions: list[str] | None = None


def class_names(task: str, digits: Sequence[int] = ALL_DIGITS) -> list[str]:
    """The classes in index order: the digits; `background` before them for semantic segmentation; none to caption."""
    names = [str(digit) for digit in digits]
    if task == "image_captioning":
        return []
    return ["background", *names] if task == "semantic_segmentation" else names
