# SPDX-License-Identifier: AGPL-3.0-only
"""From pixels to the platform's Prediction, through the framework's own predictors."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ultralytics.models.yolo.classify import ClassificationPredictor
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.models.yolo.pose import PosePredictor
from ultralytics.models.yolo.segment import SegmentationPredictor
from vision_trainer.contracts import DatasetSample, Keypoint, Label, Object, Prediction
from vision_trainer.masks import rle_encode

from .models import YoloModel
from .presets import common_arguments

_PREDICTORS = {
    "object_detection": DetectionPredictor,
    "instance_segmentation": SegmentationPredictor,
    "pose_estimation": PosePredictor,
    "image_classification": ClassificationPredictor,
}
_MOST_LABELS = 5


class Predictor:
    """A copy of a network that answers for images; boxes, masks and key points are in pixels of the given image."""

    def __init__(
        self,
        model: YoloModel,
        network: Any,
        classes: Sequence[str],
        *,
        size: int,
        device: str,
        save_dir: Path,
        confidence: float,
        nms_iou: float = 0.7,
        max_detections: int = 300,
    ) -> None:
        self._task = model.task
        self._classes = classes
        arguments = common_arguments(model, size=size, batch_size=1, device=device, save_dir=save_dir)
        arguments |= {
            "mode": "predict",
            "conf": confidence,
            "iou": nms_iou,
            "max_det": max_detections,
            # Masks at the size of the given image, not of the network's input.
            "retina_masks": True,
        }
        self._predictor = _PREDICTORS[model.task](overrides=arguments)
        copy = deepcopy(network).float().eval()
        copy.names = dict(enumerate(classes))
        copy.task = arguments["task"]
        self._predictor.setup_model(copy, verbose=False)

    def __call__(self, name: str, image: Image.Image) -> Prediction:
        """What the network says about an RGB image; `name` goes into the prediction."""
        (result,) = self._predictor(source=[image], stream=False)
        prediction = Prediction(image=name, width=image.width, height=image.height)
        if self._task == "image_classification":
            prediction.labels = self._labels(result.probs.data.float().cpu().numpy())
        else:
            prediction.objects = self._objects(result)
        return prediction

    def _labels(self, scores: Any) -> list[Label]:
        order = np.argsort(-scores, kind="stable")[:_MOST_LABELS]
        return [Label(category=int(index), name=self._classes[index], score=_score(scores[index])) for index in order]

    def _objects(self, result: Any) -> list[Object]:
        boxes = result.boxes
        corners, scores = boxes.xyxy.cpu().numpy(), boxes.conf.cpu().numpy()
        categories = boxes.cls.cpu().numpy().astype(int)
        masks = None if result.masks is None else result.masks.data.cpu().numpy() > 0.5
        points = None if result.keypoints is None else result.keypoints.data.cpu().numpy()
        objects = []
        for number in np.argsort(-scores, kind="stable"):
            x1, y1, x2, y2 = (float(value) for value in corners[number])
            found = Object(
                category=int(categories[number]),
                name=self._classes[categories[number]],
                score=_score(scores[number]),
                box=(x1, y1, x2 - x1, y2 - y1),
            )
            if masks is not None:
                found.rle = rle_encode(masks[number])
            if points is not None:
                found.keypoints = [Keypoint((float(x), float(y), _score(s))) for x, y, s in points[number]]
            objects.append(found)
        return objects


def describe_truth(sample: DatasetSample, classes: Sequence[str]) -> str:
    """What the dataset says about a sample, in a line."""
    if sample.label is not None:
        return classes[sample.label]
    counts: dict[str, int] = {}
    for entry in sample.objects or []:
        counts[classes[entry.category]] = counts.get(classes[entry.category], 0) + 1
    return ", ".join(f"{count} x {name}" for name, count in counts.items())[:2000] or "nothing"


def _score(value: Any) -> float:
    """A score between 0 and 1, whatever rounding did to it."""
    return float(min(1.0, max(0.0, float(value))))
