# SPDX-License-Identifier: AGPL-3.0-only
"""Which models there are, and how each is built from the descriptions inside the framework's package: no download."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from vision_trainer.failures import FailureCode, TrainerFailure

# The platform's task, and the framework's word for it.
TASKS = {
    "image_classification": "classify",
    "object_detection": "detect",
    "instance_segmentation": "segment",
    "pose_estimation": "pose",
}
# Depth, width, most channels of a scale for tests: about a twentieth of yolo11n's arithmetic.
_TINY_SCALE = [0.33, 0.125, 256]


@dataclass(frozen=True, slots=True)
class YoloModel:
    """A model of the catalogue. `description` is a yaml of the package; its letter before the task is the scale."""

    title: str
    task: str
    description: str
    tags: tuple[str, ...]
    tiny: bool = False

    @property
    def input_size(self) -> int:
        """Side of the square it was made for, in pixels."""
        return 96 if self.tiny else 224 if self.task == "image_classification" else 640


_TINY = ("tiny",)
MODELS = {
    "yolo11n": YoloModel("YOLO11 n", "object_detection", "yolo11n.yaml", ("fast", "recommended")),
    "yolo11s": YoloModel("YOLO11 s", "object_detection", "yolo11s.yaml", ("balanced",)),
    "yolo11m": YoloModel("YOLO11 m", "object_detection", "yolo11m.yaml", ("accurate",)),
    "yolov8n": YoloModel("YOLOv8 n", "object_detection", "yolov8n.yaml", ("fast", "classic")),
    "yolo26n": YoloModel("YOLO26 n", "object_detection", "yolo26n.yaml", ("fast", "modern")),
    "yolo11n-seg": YoloModel("YOLO11 n, masks", "instance_segmentation", "yolo11n-seg.yaml", ("fast", "recommended")),
    "yolo11n-pose": YoloModel("YOLO11 n, key points", "pose_estimation", "yolo11n-pose.yaml", ("fast", "recommended")),
    "yolo11n-cls": YoloModel("YOLO11 n, classes", "image_classification", "yolo11n-cls.yaml", ("fast", "recommended")),
    "test_yolo11": YoloModel("Test YOLO11 (tiny)", "object_detection", "yolo11n.yaml", _TINY, True),
    "test_yolo11-seg": YoloModel("Test YOLO11, masks (tiny)", "instance_segmentation", "yolo11n-seg.yaml", _TINY, True),
    "test_yolo11-pose": YoloModel(
        "Test YOLO11, key points (tiny)", "pose_estimation", "yolo11n-pose.yaml", _TINY, True
    ),
    "test_yolo11-cls": YoloModel(
        "Test YOLO11, classes (tiny)", "image_classification", "yolo11n-cls.yaml", _TINY, True
    ),
}


def find_model(name: str | None, task_type: str) -> YoloModel:
    """The model of that name. Raises BAD_CONFIG for an unknown one or one of another task."""
    if task_type not in TASKS:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"TASK_TYPE: found {task_type!r}, expected one of {', '.join(TASKS)}."
        )
    model = MODELS.get(name or "")
    if model is None:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"MODEL_NAME: found {name!r}, expected one of {', '.join(MODELS)}."
        )
    if model.task != task_type:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"MODEL_NAME: {name} is for {model.task}, but TASK_TYPE is {task_type!r}; choose a model of this task.",
        )
    return model


def model_config(model: YoloModel) -> dict[str, Any]:
    """The framework's description of the model, read from its package."""
    from ultralytics.nn.tasks import yaml_model_load

    config: dict[str, Any] = deepcopy(yaml_model_load(model.description))
    if model.tiny:
        config["scales"] = {"n": _TINY_SCALE}
    return config


def build_module(model: YoloModel, classes: int, keypoints: int | None = None) -> Any:
    """The bare network with random weights and a head for so many classes (and key points)."""
    from ultralytics.nn import tasks

    config = model_config(model)
    if model.task == "pose_estimation":
        return tasks.PoseModel(config, ch=3, nc=classes, data_kpt_shape=(keypoints or 1, 3), verbose=False)
    kinds = {
        "object_detection": tasks.DetectionModel,
        "instance_segmentation": tasks.SegmentationModel,
        "image_classification": tasks.ClassificationModel,
    }
    return kinds[model.task](config, ch=3, nc=classes, verbose=False)
