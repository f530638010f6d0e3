"""For the scripts of the ready manifests: what evaluate, predict and export write about detections. NumPy only.

Linked into each detection manifest's folder. The shapes are those of custom_trainer/outputs.py. Boxes are x, y, width,
height in pixels of the upright image; an object is {"category", "box"}, with "score" where it was predicted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Object = dict[str, Any]
# What a detection must reach to be shown to a person, or to count when images are ranked by how badly they went.
SHOWN_SCORE = 0.25
WORST_SHOWN = 16
_MOST_OBJECTS = 300


def read_coco_truth(path: str | Path) -> dict[str, list[Object]]:
    """Annotations by file name of a COCO file as the platform writes it (category ids are class indices)."""
    coco = json.loads(Path(path).read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    truth: dict[str, list[Object]] = {name: [] for name in names.values()}
    for annotation in coco["annotations"]:
        if not annotation.get("iscrowd"):
            truth[names[annotation["image_id"]]].append(
                {"category": annotation["category_id"], "box": annotation["bbox"]}
            )
    return truth


def read_yolo_file(path: Path, width: int, height: int) -> list[Object]:
    """Objects of a YOLO text file: class, centre and size as shares, and the score where there is one."""
    objects: list[Object] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        category, x, y, w, h, *score = (float(word) for word in line.split())
        box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
        objects.append({"category": int(category), "box": box, **({"score": score[0]} if score else {})})
    return objects


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    whole = first[2] * first[3] + second[2] * second[3] - shared
    return shared / whole if whole > 0 else 0.0


def image_f1(predicted: Sequence[Object], truth: Sequence[Object]) -> float:
    """F1 of one image at IoU 0.5, of the detections that would be shown; 1 where nothing is and nothing is found."""
    shown = sorted((item for item in predicted if item["score"] >= SHOWN_SCORE), key=lambda item: -item["score"])
    left = list(truth)
    hits = 0
    for item in shown:
        matches = [other for other in left if other["category"] == item["category"]]
        best = max(matches, key=lambda other: overlap(item["box"], other["box"]), default=None)
        if best is not None and overlap(item["box"], best["box"]) >= 0.5:
            left.remove(best)
            hits += 1
    total = len(shown) + len(truth)
    return 2 * hits / total if total else 1.0


def worst_images(
    predictions: dict[str, list[Object]], truth: dict[str, list[Object]], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The `worst` of a report, worst first; images that went perfectly are left out."""
    scored = [(image_f1(predictions.get(name, []), objects), name) for name, objects in truth.items()]
    return [
        {
            "image": name,
            "score": score,
            "truth": in_words(truth[name], classes),
            "objects": shown(predictions.get(name, [])),
        }
        for score, name in sorted(scored)[:WORST_SHOWN]
        if score < 1
    ]


def shown(objects: Sequence[Object], least: float = SHOWN_SCORE) -> list[Object]:
    """Detections as the platform takes them: surest first, scores within 0 and 1, at most 300."""
    kept = sorted((item for item in objects if item["score"] >= least), key=lambda item: -item["score"])
    return [
        {
            "category": int(item["category"]),
            "score": min(1.0, max(0.0, float(item["score"]))),
            "box": [float(value) for value in item["box"]],
        }
        for item in kept[:_MOST_OBJECTS]
    ]


def in_words(objects: Sequence[Object], classes: Sequence[str]) -> str:
    """Objects in words, at most 20 of them."""
    words = [str(classes[item["category"]]) for item in objects[:20]]
    return (", ".join(words) + (" …" if len(objects) > 20 else ""))[:2000] if words else "nothing"


def pr_curve(name: str, hit: Any, score: Any, positives: int) -> dict[str, Any]:
    """Precision at 101 recalls at IoU 0.5, made monotonic as COCO does.

    `hit` tells for each detection whether it found an object; `score` is how sure it was.
    """
    order = np.argsort(-np.asarray(score, float), kind="stable")
    found = np.cumsum(np.asarray(hit, float)[order])
    recall = found / max(positives, 1)
    precision = np.maximum.accumulate((found / np.arange(1, len(order) + 1))[::-1])[::-1]
    grid = np.linspace(0, 1, 101)
    at = np.searchsorted(recall, grid, side="left")
    values = [float(precision[index]) if index < len(precision) else 0.0 for index in at]
    return {"name": name, "threshold": 0.5, "recall": [round(float(value), 2) for value in grid], "precision": values}


def average_precision(predictions: dict[str, list[Object]], truth: dict[str, list[Object]]) -> float | None:
    """Mean AP at IoU 0.5 over the classes that occur: one ruler for the original model and the exported one."""
    figures = []
    for category in sorted({item["category"] for objects in truth.values() for item in objects}):
        hits, scores = [], []
        for name, objects in truth.items():
            left = [item for item in objects if item["category"] == category]
            found = [item for item in predictions.get(name, []) if item["category"] == category]
            for item in sorted(found, key=lambda entry: -entry["score"]):
                best = max(left, key=lambda other: overlap(item["box"], other["box"]), default=None)
                good = best is not None and overlap(item["box"], best["box"]) >= 0.5
                if good and best is not None:
                    left.remove(best)
                hits.append(good)
                scores.append(item["score"])
        positives = sum(item["category"] == category for objects in truth.values() for item in objects)
        figures.append(float(np.mean(pr_curve("", hits, scores, positives)["precision"])) if hits else 0.0)
    return float(np.mean(figures)) if figures else None


def write_json(path: str | Path, content: object) -> None:
    """Writes a JSON file."""
    Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_predictions(path: str | Path, predictions: dict[str, list[Object]]) -> None:
    """Writes `${predictions}`: a line an image, its objects surest first."""
    lines = [json.dumps({"image": name, "objects": shown(objects)}) for name, objects in predictions.items()]
    Path(path).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
