"""Average precision as COCO defines it, by pycocotools: for boxes (IoU) and for key points (OKS)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .tasks.task import Outcome, by_image, sample_of

# An object's area as a share of its box where no outline is known: the mean over COCO's people, as used by MMPose.
_AREA_OF_BOX = 0.53


@dataclass(frozen=True, slots=True)
class ClassScore:
    """`precision` at each recall, for an overlap of 0.5; None where the recall is not reached by any class."""

    name: str
    support: int
    ap50: float | None
    ap50_95: float | None
    precision: list[float | None]


@dataclass(frozen=True, slots=True)
class Scores:
    """`ap50_95` is the mean over the overlaps 0.50, 0.55 … 0.95; both are means over the classes that occur."""

    ap50: float | None
    ap50_95: float | None
    recall: list[float]
    per_class: list[ClassScore]


def score_boxes(outcomes: Sequence[Outcome], classes: list[str]) -> Scores:
    """Average precision of boxes. Crowds are COCO's: what lies in them counts neither way."""
    truth, found = _Truth(classes), []
    for group in by_image(list(outcomes)):
        image = truth.add_image()
        for entry in sample_of(group[0].example).objects or ():
            truth.add(image, entry.category, list(entry.box), entry.box[2] * entry.box[3], crowd=bool(entry.crowd))
        said = group[0].said
        for box, label, score in zip(said["boxes"], said["labels"], said["scores"], strict=True):
            found.append(
                {"image_id": image, "category_id": int(label) + 1, "bbox": box.tolist(), "score": float(score)}
            )
    return _evaluate(truth, found, "bbox", None)


def score_keypoints(outcomes: Sequence[Outcome], classes: list[str], sigmas: Sequence[float]) -> Scores:
    """Average precision of key points by object key point similarity.

    OKS = mean over the labelled points of exp(-d^2 / (2 s^2 k^2)) with k = 2 sigma, s^2 the object's area
    (https://cocodataset.org/#keypoints-eval).
    """
    truth, found = _Truth(classes, points=len(sigmas)), []
    for group in by_image(list(outcomes)):
        image = truth.add_image()
        for entry in sample_of(group[0].example).objects or ():
            points = [value for point in entry.keypoints or () for value in point.root]
            labelled = sum(value > 0 for value in points[2::3])
            area = object_area(list(entry.box))
            truth.add(
                image, entry.category, list(entry.box), area, crowd=bool(entry.crowd), points=points, labelled=labelled
            )
        for outcome in group:
            known = outcome.example.object
            points = outcome.said["points"]
            found.append(
                {
                    "image_id": image,
                    "category_id": (known.category if known else 0) + 1,
                    "keypoints": [float(value) for x, y, _ in points for value in (x, y, 1.0)],
                    "score": float(outcome.said["score"]),
                }
            )
    return _evaluate(truth, found, "keypoints", np.asarray(sigmas))


def object_area(box: Sequence[float]) -> float:
    """The estimated area of the object in a box (x, y, width, height), in pixels."""
    return box[2] * box[3] * _AREA_OF_BOX


class _Truth:
    """COCO's dictionaries of what is in the images."""

    def __init__(self, classes: list[str], points: int = 0) -> None:
        self.classes = classes
        categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
        if points:
            categories = [{**row, "keypoints": [str(n) for n in range(points)], "skeleton": []} for row in categories]
        self.dataset: dict[str, Any] = {"info": {}, "images": [], "annotations": [], "categories": categories}

    def add_image(self) -> int:
        """A new image's number."""
        number = len(self.dataset["images"]) + 1
        self.dataset["images"].append({"id": number})
        return number

    def add(
        self,
        image: int,
        category: int,
        box: list[float],
        area: float,
        *,
        crowd: bool,
        points: list[float] | None = None,
        labelled: int = 0,
    ) -> None:
        """An object of it."""
        row = {
            "id": len(self.dataset["annotations"]) + 1,
            "image_id": image,
            "category_id": category + 1,
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
            "ignore": int(crowd),
        }
        if points is not None:
            row |= {"keypoints": points, "num_keypoints": labelled}
        self.dataset["annotations"].append(row)


def _evaluate(truth: _Truth, found: list[dict[str, Any]], kind: str, sigmas: np.ndarray[Any, Any] | None) -> Scores:
    supports = np.bincount(
        [row["category_id"] - 1 for row in truth.dataset["annotations"] if not row["iscrowd"]],
        minlength=len(truth.classes),
    )
    # pycocotools prints as it goes.
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth.dataset
        known.createIndex()
        judge = COCOeval(known, known.loadRes(found) if found else COCO(), kind)
        if sigmas is not None:
            judge.params.kpt_oks_sigmas = sigmas
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [20 if kind == "keypoints" else 100]
        judge.params.imgIds = sorted(known.imgs)
        judge.params.catIds = sorted(known.cats)
        judge.evaluate()
        judge.accumulate()
    # overlaps x recalls x classes; -1 where a class does not occur.
    precision = judge.eval["precision"][:, :, :, 0, -1]
    rows = []
    for index, name in enumerate(truth.classes):
        at = precision[:, :, index]
        curve = [None if value < 0 else float(value) for value in at[0]]
        rows.append(ClassScore(name, int(supports[index]), _mean(at[0]), _mean(at), curve))
    return Scores(_mean(precision[0]), _mean(precision), [float(r) for r in judge.params.recThrs], rows)


def _mean(values: np.ndarray[Any, Any]) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None
