"""object_detection: boxes and classes (DETR, RT-DETR), with the losses of transformers' own models."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from vision_trainer.contracts import Prediction

from huggingface_trainer.coco_scores import Scores, score_boxes
from huggingface_trainer.examples import Example, ImageSource
from huggingface_trainer.geometry import View
from huggingface_trainer.query_parity import candidate_choice, two_stage_gap

from .task import Arrays, Measured, Outcome, Task, TaskData, largest_gap, mean_loss, sample_of

# An object of which a crop shows less than this share is no target of that crop.
_SMALLEST_VISIBLE_SHARE = 0.3
_MOST_OBJECTS = 100
# Two boxes of the same object agree from this overlap on; for the worst samples.
_SAME_OBJECT = 0.5


class Detection(Task):
    """Set prediction: every query is a box and a class, matched to the objects by the Hungarian algorithm."""

    type = "object_detection"
    primary_metric = "val/mAP50_95"

    def __init__(self, data: TaskData) -> None:
        super().__init__(data)
        self.outputs = ("logits", "boxes", *(("candidates", "choice") if data.two_stage else ()))

    def target(self, example: Example, view: View, source: ImageSource, rng: random.Random | None) -> dict[str, Any]:
        """class_labels (objects,) and boxes (objects, 4): centre x, y, width, height as shares of the input."""
        shape = self.data.shape
        objects = [entry for entry in sample_of(example).objects or () if not entry.crowd]
        boxes = np.asarray([entry.box for entry in objects], np.float32).reshape(-1, 4)
        corners = view.boxes_to_input(boxes)
        sides = corners[:, 2:] - corners[:, :2]
        whole = boxes[:, 2] * boxes[:, 3] * np.prod(view.scale)
        seen = (sides.min(axis=1, initial=np.inf) >= 1.0) & (sides.prod(axis=1) >= _SMALLEST_VISIBLE_SHARE * whole)
        centres = (corners[:, :2] + corners[:, 2:]) / 2
        size = np.asarray([shape.width, shape.height, shape.width, shape.height], np.float32)
        labels = np.asarray([entry.category for entry in objects], np.int64)
        return {
            "class_labels": labels[seen],
            "boxes": (np.concatenate([centres, sides], axis=1) / size)[seen].astype(np.float32),
        }

    def collate(self, targets: list[dict[str, Any]]) -> dict[str, Any]:
        """labels: one dictionary of tensors an image, as the models want it."""
        labels = [{name: torch.from_numpy(values) for name, values in target.items()} for target in targets]
        return {"labels": labels}

    def loss(self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]) -> Tensor:
        """The model's own loss: classes, L1 of the boxes, generalised IoU, over all decoder layers."""
        loss: Tensor = model(**inputs, labels=targets["labels"]).loss
        return loss

    def measure(
        self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The model's own loss and its raw outputs in one pass."""
        found = model(**inputs, labels=targets["labels"])
        return found.loss, self._raw(found)

    def infer(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """logits: batch x queries x classes (DETR: + 1 for nothing); boxes: batch x queries x 4, shares of the input.

        RT-DETR also gives the logits and the numbers of the candidates that its decoder was given, in the same order.
        """
        if not self.data.two_stage:
            return self._raw(model(**inputs))
        with candidate_choice() as chosen:
            raw = self._raw(model(**inputs))
        return {**raw, "choice": chosen[0]}

    def _raw(self, found: Any) -> dict[str, Tensor]:
        raw = {"logits": found.logits.float(), "boxes": found.pred_boxes.float()}
        if self.data.two_stage:
            raw["candidates"] = found.enc_topk_logits.float()
        return raw

    def outcomes(self, raw: Arrays, examples: list[Example], views: list[View]) -> list[Outcome]:
        """At most 100 boxes an image, surest first, x, y, width, height in the image's own pixels."""
        shape = self.data.shape
        size = np.asarray([shape.width, shape.height, shape.width, shape.height], np.float32)
        found = []
        for logits, boxes, example, view in zip(raw["logits"], raw["boxes"], examples, views, strict=True):
            queries, labels, scores = self._surest(logits)
            centres, sides = boxes[queries, :2], boxes[queries, 2:]
            corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1) * size
            own = view.boxes_to_image(corners, example.image_width, example.image_height)
            found.append(Outcome(example, said={"boxes": own, "labels": labels, "scores": scores}))
        return found

    def _surest(self, logits: np.ndarray[Any, Any]) -> tuple[Any, Any, Any]:
        """(query, class, score) of the likeliest pairs: softmax without the last class (DETR), sigmoid (RT-DETR)."""
        logits = logits.astype(np.float64)
        if logits.shape[1] == len(self.data.classes) + 1:
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares = (shares / shares.sum(axis=1, keepdims=True))[:, :-1]
        else:
            shares = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
        order = np.argsort(-shares, axis=None, kind="stable")[:_MOST_OBJECTS]
        queries, labels = np.unravel_index(order, shares.shape)
        return queries, labels, shares[queries, labels]

    def summarise(self, outcomes: list[Outcome]) -> Measured:
        """COCO's mean average precision (pycocotools), per class too, and the curves at IoU 0.5."""
        scores = score_boxes(outcomes, self.data.classes)
        for outcome in outcomes:
            outcome.score = self._agreement(outcome)
        metrics = {"val/loss": mean_loss(outcomes), "val/mAP50": scores.ap50, "val/mAP50_95": scores.ap50_95}
        return measured_by_scores(metrics, scores)

    def _agreement(self, outcome: Outcome) -> float | None:
        """F1 of the sure boxes against the objects at IoU 0.5: what the worst samples are chosen by. None: nothing."""
        objects = [entry for entry in sample_of(outcome.example).objects or () if not entry.crowd]
        sure = outcome.said["scores"] >= 0.3
        boxes, labels = outcome.said["boxes"][sure], outcome.said["labels"][sure]
        if not objects and not len(boxes):
            return None
        left, right = list(range(len(objects))), 0
        for box, label in zip(boxes, labels, strict=True):
            overlaps = [(overlap(box, np.asarray(objects[i].box)), i) for i in left if objects[i].category == label]
            best, index = max(overlaps, default=(0.0, -1))
            if best >= _SAME_OBJECT:
                left.remove(index)
                right += 1
        return 2 * right / (len(boxes) + len(objects))

    def gap(self, model: nn.Module, inputs: dict[str, Tensor], ours: Arrays, theirs: Arrays) -> float:
        """Row by row; a two-stage model is run again with the candidates that the other one chose."""
        if not self.data.two_stage:
            return largest_gap(ours, theirs)
        with torch.inference_mode(), candidate_choice(torch.from_numpy(theirs["choice"])):
            again = {name: value.numpy() for name, value in self._raw(model(**inputs)).items()}
        return two_stage_gap(again, ours, theirs)

    def prediction(self, outcomes: list[Outcome], threshold: float) -> Prediction:
        """Boxes in pixels, surest first."""
        said, example = outcomes[0].said, outcomes[0].example
        rows = zip(said["boxes"], said["labels"], said["scores"], strict=True)
        objects = [
            {
                "category": int(label),
                "name": self.data.classes[label],
                "score": min(1.0, float(score)),
                "box": [round(float(value), 2) for value in box],
            }
            for box, label, score in rows
            if score >= threshold
        ]
        return Prediction.model_validate(
            {"image": example.name, "width": example.image_width, "height": example.image_height, "objects": objects}
        )

    def truth(self, outcome: Outcome) -> str:
        """The classes of the objects."""
        objects = sample_of(outcome.example).objects or ()
        return ", ".join(self.data.classes[entry.category] for entry in objects) or "nothing"


def overlap(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    union = float(np.prod(one[2:]) + np.prod(other[2:])) - shared
    return shared / union if union > 0 else 0.0


def measured_by_scores(metrics: dict[str, float | None], scores: Scores) -> Measured:
    """COCO's figures as parts of the report."""
    per_class = [
        {"name": row.name, "support": row.support, "metrics": {"AP50": row.ap50, "AP50_95": row.ap50_95}}
        for row in scores.per_class
    ]
    curves = [
        {"name": row.name, "threshold": 0.5, "recall": scores.recall, "precision": row.precision}
        for row in scores.per_class
        if row.support
    ]
    return Measured(metrics, per_class, None, curves)
