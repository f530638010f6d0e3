# SPDX-License-Identifier: AGPL-3.0-only
"""Per-class figures, curves and the score of every single image, taken from a validator while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from vision_trainer.contracts import PerClassItem, PrCurve

from .measures import finite

# What counts as said, in the score of a single image.
_CONFIDENCE = 0.25
_CURVE_POINTS = 101
_SUFFIXES = {"box": "", "seg": "_mask", "pose": "_pose"}
_PRIMARY = {"object_detection": "box", "instance_segmentation": "seg", "pose_estimation": "pose"}
_MATCHES = {"box": "tp", "seg": "tp_m", "pose": "tp_p"}


class ImageScores:
    """Listens to a validator of objects: F1 of each image at half overlap and a confidence of 0.25.

    1 is right, also where there is nothing and nothing was said.
    """

    def __init__(self, validator: Any, task_type: str) -> None:
        self.by_stem: dict[str, float] = {}
        self._matches = _MATCHES[_PRIMARY[task_type]]
        metrics = validator.metrics
        self._told = metrics.update_stats
        metrics.update_stats = self._note

    def _note(self, stat: dict[str, Any]) -> None:
        said = stat["conf"] >= _CONFIDENCE
        right = int(stat[self._matches][:, 0][said].sum()) if len(said) else 0
        wanted, given = len(stat["target_cls"]), int(said.sum())
        self.by_stem[Path(stat["im_name"]).stem] = 2 * right / (wanted + given) if wanted + given else 1.0
        self._told(stat)


class LabelScores:
    """Listens to a validator of classes: the probability each image's true class was given."""

    def __init__(self, validator: Any) -> None:
        self.scores: list[float] = []
        self.pairs: list[tuple[int, int]] = []
        self._told = validator.update_metrics
        validator.update_metrics = self._note

    def _note(self, preds: Any, batch: dict[str, Any]) -> None:
        truth = batch["cls"].long()
        self.scores += preds.float().gather(1, truth[:, None])[:, 0].tolist()
        self.pairs += list(zip(truth.tolist(), preds.argmax(1).tolist(), strict=True))
        self._told(preds, batch)

    def confusion(self, classes: int) -> list[list[float]]:
        """`matrix[truth][prediction]` counts images."""
        matrix = np.zeros((classes, classes))
        for truth, said in self.pairs:
            matrix[truth, said] += 1
        return [[float(count) for count in row] for row in matrix]


def per_class_of_objects(metrics: Any, classes: list[str]) -> list[PerClassItem]:
    """Precision, recall and average precision of each class; None for a class that is not in the split."""
    items = []
    counts = metrics.nt_per_class if metrics.nt_per_class is not None else np.zeros(len(classes))
    for index, name in enumerate(classes):
        figures: dict[str, float | None] = {}
        for kind, suffix in _SUFFIXES.items():
            part = getattr(metrics, kind, None)
            if part is None:
                continue
            places = [place for place, found in enumerate(part.ap_class_index) if found == index]
            values = part.class_result(places[0]) if places else (None,) * 4
            for figure, value in zip(("precision", "recall", "mAP50", "mAP50_95"), values, strict=True):
                figures[figure + suffix] = None if value is None else finite(float(value))
        items.append(PerClassItem(name=name, support=int(counts[index]), metrics=figures))
    return items


def per_class_of_labels(confusion: list[list[float]], classes: list[str]) -> list[PerClassItem]:
    """Precision, recall and F1 of each class; None where nothing can be said."""
    items = []
    for number, name in enumerate(classes):
        right = confusion[number][number]
        truly, said = sum(confusion[number]), sum(row[number] for row in confusion)
        figures = {
            "precision": right / said if said else None,
            "recall": right / truly if truly else None,
            "f1": 2 * right / (truly + said) if truly + said else None,
        }
        items.append(PerClassItem(name=name, support=int(truly), metrics=figures))
    return items


def curves(metrics: Any, task_type: str, classes: list[str]) -> list[PrCurve]:
    """Precision at each recall for an overlap of one half, by the task's own measure of overlap."""
    part = getattr(metrics, _PRIMARY[task_type])
    if not len(part.ap_class_index):
        return []
    recall = np.linspace(0, 1, _CURVE_POINTS)
    found = []
    for place, index in enumerate(part.ap_class_index):
        precision = np.interp(recall, part.px, part.prec_values[place])
        found.append(
            PrCurve(
                name=classes[int(index)],
                threshold=0.5,
                recall=[round(float(value), 6) for value in recall],
                precision=[finite(round(float(value), 6)) for value in precision],
            )
        )
    return found
