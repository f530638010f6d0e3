# SPDX-License-Identifier: AGPL-3.0-only
"""What the publisher of the models says about them; every figure with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_DOCS = "docs.ultralytics.com (ultralytics/ultralytics, docs/"
_YOLO11 = f"{_DOCS}en/models/yolo11.md)"
_YOLO26 = f"{_DOCS}macros/yolo-det-perf.md)"
_YOLOV8 = f"{_DOCS}en/models/yolov8.md)"
_RELEASES = "github.com/ultralytics/assets/releases/download/"


@dataclass(frozen=True, slots=True)
class Published:
    """Where the weights are, what they reach, how fast they are; `batch_size` is our start for a GPU of 16 GB."""

    weights: str
    accuracy: dict[str, Any]
    speed: dict[str, Any]
    batch_size: int


def _published(
    name: str,
    accuracy: float,
    milliseconds: float,
    source: str,
    *,
    batch_size: int = 16,
    task: str = "box",
    gpu: str = "T4, TensorRT 10",
) -> Published:
    units = {
        "box": ("mAP50-95", "COCO val2017, 640 px"),
        "mask": ("mask mAP50-95", "COCO val2017, 640 px"),
        "pose": ("pose mAP50-95", "COCO keypoints val2017, 640 px"),
        "top1": ("% top-1", "ImageNet validation, 224 px"),
    }
    unit, on = units[task]
    return Published(
        f"{_RELEASES}v8.4.0/{name}.pt",
        {"value": accuracy, "unit": unit, "on": on, "source": source},
        {"value": milliseconds, "unit": "ms an image", "on": gpu, "source": source},
        batch_size,
    )


PUBLISHED = {
    "yolo11n": _published("yolo11n", 39.5, 1.5, _YOLO11),
    "yolo11s": _published("yolo11s", 47.0, 2.5, _YOLO11),
    "yolo11m": _published("yolo11m", 51.5, 4.7, _YOLO11, batch_size=8),
    "yolov8n": _published("yolov8n", 37.3, 0.99, _YOLOV8, gpu="A100, TensorRT"),
    "yolo26n": _published("yolo26n", 40.9, 1.7, _YOLO26),
    "yolo11n-seg": _published("yolo11n-seg", 32.0, 1.8, _YOLO11, task="mask"),
    "yolo11n-pose": _published("yolo11n-pose", 50.0, 1.7, _YOLO11, task="pose"),
    "yolo11n-cls": _published("yolo11n-cls", 70.0, 1.1, _YOLO11, batch_size=128, task="top1"),
}
