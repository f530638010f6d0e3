"""semantic_segmentation: a class for every pixel (SegFormer)."""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from vision_trainer.contracts import Prediction

from huggingface_trainer.examples import Example, ImageSource
from huggingface_trainer.geometry import View

from .task import Arrays, Measured, Outcome, Task, mean_loss

IGNORED = 255


class Segmentation(Task):
    """Cross-entropy over the pixels that are labelled, at the input's resolution."""

    type = "semantic_segmentation"
    primary_metric = "val/mIoU"
    outputs = ("logits",)

    def target(self, example: Example, view: View, source: ImageSource, rng: random.Random | None) -> dict[str, Any]:
        """mask: height x width of the input. When nothing is left to chance also the image's own, for the metrics."""
        shape = self.data.shape
        mask = view.render_mask(source.mask(example), shape.height, shape.width, IGNORED)
        target: dict[str, Any] = {"mask": np.asarray(mask)}
        if rng is None:
            target["own"] = np.asarray(source.mask(example))
        return target

    def collate(self, targets: list[dict[str, Any]]) -> dict[str, Any]:
        """mask: batch x height x width int64."""
        batch: dict[str, Any] = {"mask": torch.from_numpy(np.stack([target["mask"] for target in targets])).long()}
        if "own" in targets[0]:
            batch["own"] = [target["own"] for target in targets]
        return batch

    def loss(self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]) -> Tensor:
        """Cross-entropy with the class weights of the settings; 0 for a batch without a labelled pixel."""
        return self._cross_entropy(model(**inputs).logits.float(), targets["mask"], self.data.class_weights)

    def measure(
        self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Plain cross-entropy, so that runs with other weights compare."""
        raw = self.infer(model, inputs)
        return self._cross_entropy(raw["logits"], targets["mask"], None), raw

    def _cross_entropy(self, logits: Tensor, mask: Tensor, weights: tuple[float, ...] | None) -> Tensor:
        scaled = functional.interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=False)
        weight = None if weights is None else torch.tensor(weights, device=mask.device)
        summed = functional.cross_entropy(scaled, mask, weight=weight, ignore_index=IGNORED, reduction="sum")
        known = mask != IGNORED
        if weight is None:
            return summed / known.sum().clamp(min=1)
        return summed / weight[mask[known]].sum().clamp(min=1e-6)

    def infer(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """logits: batch x classes x height / 4 x width / 4."""
        return {"logits": model(**inputs).logits.float()}

    def outcomes(self, raw: Arrays, examples: list[Example], views: list[View]) -> list[Outcome]:
        """mask: the likeliest class of every pixel of the image (logits scaled bilinearly to the image's size)."""
        found = []
        for logits, example in zip(raw["logits"], examples, strict=True):
            size = (example.image_height, example.image_width)
            scaled = functional.interpolate(
                torch.from_numpy(np.ascontiguousarray(logits))[None], size=size, mode="bilinear", align_corners=False
            )
            mask = scaled[0].argmax(dim=0).to(torch.uint8).numpy()
            # The masks of a whole split would not fit into memory as they are.
            found.append(Outcome(example, said={"packed": zlib.compress(mask.tobytes(), 1)}))
        return found

    def judge(self, outcomes: list[Outcome], targets: dict[str, Any]) -> None:
        """Counts the pixels while the truth is at hand."""
        count = len(self.data.classes)
        for outcome, own in zip(outcomes, targets["own"], strict=True):
            known = own != IGNORED
            pairs = own[known].astype(np.int64) * count + self.mask(outcome)[known]
            # Few of all pairs of classes occur in one image.
            outcome.said["pairs"], outcome.said["pixels"] = np.unique(pairs, return_counts=True)

    def summarise(self, outcomes: list[Outcome]) -> Measured:
        """Mean IoU over the classes that occur in truth or prediction, pixel accuracy, the confusion of pixels."""
        count = len(self.data.classes)
        total = np.zeros(count * count, np.int64)
        for outcome in outcomes:
            pairs, pixels = outcome.said["pairs"], outcome.said["pixels"]
            total[pairs] += pixels
            own = np.zeros(count * count, np.int64)
            own[pairs] = pixels
            outcome.score = _mean_iou(own.reshape(count, count))
        confusion = total.reshape(count, count)
        pixels = int(confusion.sum())
        metrics = {
            "val/loss": mean_loss(outcomes),
            "val/mIoU": _mean_iou(confusion),
            "val/pixel_acc": float(np.trace(confusion) / pixels) if pixels else None,
        }
        ious, recalls = _ious(confusion), np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
        per_class = [
            {
                "name": name,
                "support": int(confusion[index].sum()),
                "metrics": {"IoU": _number(ious[index]), "accuracy": float(recalls[index])},
            }
            for index, name in enumerate(self.data.classes)
        ]
        return Measured(metrics, per_class, confusion.tolist())

    def prediction(self, outcomes: list[Outcome], threshold: float) -> Prediction:
        """Each class's share of the pixels; the mask itself is stored beside it."""
        example, mask = outcomes[0].example, self.mask(outcomes[0])
        counts = np.bincount(mask.ravel(), minlength=len(self.data.classes))
        shares = {
            name: round(int(count) / mask.size, 6)
            for name, count in zip(self.data.classes, counts, strict=False)
            if count
        }
        return Prediction.model_validate(
            {
                "image": example.name,
                "width": example.image_width,
                "height": example.image_height,
                "mask": {"artifact": "", "shares": shares},
            }
        )

    def mask(self, outcome: Outcome) -> np.ndarray[Any, Any]:
        """Height x width class indices, uint8."""
        shape = (outcome.example.image_height, outcome.example.image_width)
        return np.frombuffer(zlib.decompress(outcome.said["packed"]), np.uint8).reshape(shape)

    def truth(self, outcome: Outcome) -> str:
        """The classes that the mask shows."""
        shown = sorted({int(pair) // len(self.data.classes) for pair in outcome.said.get("pairs", ())})
        return ", ".join(self.data.classes[index] for index in shown)


def _ious(confusion: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Intersection over union of each class; NaN for one that occurs nowhere."""
    shared = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - np.diag(confusion)
    return np.where(union > 0, shared / np.maximum(union, 1), np.nan)


def _mean_iou(confusion: np.ndarray[Any, np.dtype[np.int64]]) -> float | None:
    ious = _ious(confusion)
    return float(np.nanmean(ious)) if not np.isnan(ious).all() else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
