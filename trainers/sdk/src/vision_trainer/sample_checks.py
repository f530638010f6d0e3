"""What a trainer relies on in a dataset version, besides that it can be read. Each check returns a reason or None."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .contracts import DatasetManifest, DatasetSample, SampleObject

# Fewest classes that make sense; captions have none.
_FEWEST_CLASSES = {
    "image_classification": 2,
    "object_detection": 1,
    "instance_segmentation": 1,
    "semantic_segmentation": 2,
    "pose_estimation": 1,
    "image_captioning": 0,
}
OBJECT_TASKS = frozenset({"object_detection", "instance_segmentation", "pose_estimation"})


def check_whole(  # noqa: PLR0911 - a list of reasons, the first counts
    manifest: DatasetManifest, train: Sequence[DatasetSample], val: Sequence[DatasetSample]
) -> str | None:
    """Why nothing can be trained with these splits."""
    fewest = _FEWEST_CLASSES[manifest.task_type]
    if len(manifest.classes) < fewest:
        return f"{manifest.task_type} needs {fewest} classes or more, it has {len(manifest.classes)}"
    if len(train) < 2:
        return f"the split train has {len(train)} samples, and two are the fewest to train with"
    if not val:
        return "it has neither a val nor a test split to validate with"
    if manifest.task_type in OBJECT_TASKS and not any(sample.objects for sample in train):
        return "no training sample shows an object"
    if manifest.task_type == "image_classification" and len({sample.label for sample in train}) < 2:
        return "all training samples have the same class"
    keypoints = manifest.keypoints
    if manifest.task_type == "pose_estimation":
        if keypoints is None:
            return "its manifest does not name the key points"
        if sorted(keypoints.flip_indices) != list(range(len(keypoints.names))):
            return "flip_indices of its key points is not a permutation of them"
    return None


def check_sample(sample: DatasetSample, manifest: DatasetManifest) -> str | None:
    """What is wrong with one sample for the task of the manifest."""
    task, classes = manifest.task_type, len(manifest.classes)
    if task == "image_classification":
        if sample.label is None or sample.label >= classes:
            return f"has label {sample.label}, and the dataset has {classes} classes"
    elif task == "semantic_segmentation":
        if sample.mask is None:
            return "has no mask"
    elif task == "image_captioning":
        if not any(caption.strip() for caption in sample.captions or ()):
            return "has no caption"
    elif sample.objects is None:
        return "has no list of objects"
    else:
        points = len(manifest.keypoints.names) if manifest.keypoints else 0
        for entry in sample.objects:
            problem = _check_object(entry, sample, task, classes, points)
            if problem:
                return problem
    return None


def _check_object(  # noqa: PLR0911 - a list of reasons, the first counts
    entry: SampleObject, sample: DatasetSample, task: str, classes: int, points: int
) -> str | None:
    if entry.category >= classes:
        return f"has an object of class {entry.category}, and the dataset has {classes} classes"
    x, y, width, height = entry.box
    # A pixel of tolerance: annotation tools round.
    inside = x >= -1 and y >= -1 and x + width <= sample.width + 1 and y + height <= sample.height + 1
    if not all(map(math.isfinite, entry.box)) or width <= 0 or height <= 0 or not inside:
        return f"has a box {list(entry.box)} that is empty or outside of its {sample.width} x {sample.height} pixels"
    if task == "instance_segmentation" and not entry.polygons and entry.rle is None:
        return "has an object without an outline"
    for polygon in entry.polygons or ():
        if len(polygon) < 6 or len(polygon) % 2 or not all(map(math.isfinite, polygon)):
            return "has an outline of fewer than three points, of half a point or of no numbers"
    if task == "pose_estimation" and not entry.crowd:
        found = entry.keypoints or []
        if len(found) != points:
            return f"has an object with {len(found)} key points, and the dataset names {points}"
        if not all(math.isfinite(value) for point in found for value in point.root):
            return "has a key point that is no number"
    return None
