"""image_classification: one label an image (ViT, DeiT)."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from vision_trainer.contracts import Prediction

from huggingface_trainer.examples import Example, ImageSource
from huggingface_trainer.geometry import View

from .task import Arrays, Measured, Outcome, Task, mean_loss, sample_of


class Classification(Task):
    """Cross-entropy over the classes."""

    type = "image_classification"
    primary_metric = "val/top1"
    outputs = ("logits",)

    def target(self, example: Example, view: View, source: ImageSource, rng: random.Random | None) -> dict[str, Any]:
        """The label."""
        return {"label": sample_of(example).label}

    def collate(self, targets: list[dict[str, Any]]) -> dict[str, Any]:
        """(batch,) int64."""
        return {"label": torch.tensor([target["label"] for target in targets], dtype=torch.int64)}

    def loss(self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]) -> Tensor:
        """Cross-entropy with the class weights and the label smoothing of the settings."""
        weights = self.data.class_weights
        return functional.cross_entropy(
            model(**inputs).logits.float(),
            targets["label"],
            weight=None if weights is None else torch.tensor(weights, device=targets["label"].device),
            label_smoothing=self.data.label_smoothing,
        )

    def measure(
        self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Plain cross-entropy, so that runs with other weights or smoothing compare."""
        raw = self.infer(model, inputs)
        return functional.cross_entropy(raw["logits"], targets["label"]), raw

    def infer(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """logits: batch x classes."""
        return {"logits": model(**inputs).logits.float()}

    def outcomes(self, raw: Arrays, examples: list[Example], views: list[View]) -> list[Outcome]:
        """Probabilities (softmax), most likely first."""
        found = []
        for example, logits in zip(examples, raw["logits"].astype(np.float64), strict=True):
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            order = np.argsort(-shares, kind="stable")[:5]
            found.append(
                Outcome(example, said={"classes": order.tolist(), "shares": shares[order].tolist(), "all": shares})
            )
        return found

    def summarise(self, outcomes: list[Outcome]) -> Measured:
        """Top-1, top-5, the confusion matrix, and precision, recall and F1 of each class."""
        count = len(self.data.classes)
        confusion = np.zeros((count, count), np.int64)
        in_top5 = 0
        for outcome in outcomes:
            label = sample_of(outcome.example).label or 0
            confusion[label, outcome.said["classes"][0]] += 1
            in_top5 += label in outcome.said["classes"]
            outcome.score = float(outcome.said["all"][label])
        right = np.diag(confusion)
        metrics = {
            "val/loss": mean_loss(outcomes),
            "val/top1": float(right.sum() / len(outcomes)),
            "val/top5": in_top5 / len(outcomes),
        }
        return Measured(metrics, self._per_class(confusion), confusion.tolist())

    def _per_class(self, confusion: np.ndarray[Any, np.dtype[np.int64]]) -> list[dict[str, Any]]:
        rows = []
        for index, name in enumerate(self.data.classes):
            right, support, said = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
            precision = float(right / said) if said else None
            recall = float(right / support) if support else None
            f1 = float(2 * right / (said + support)) if said + support else None
            metrics = {"precision": precision, "recall": recall, "f1": f1}
            rows.append({"name": name, "support": int(support), "metrics": metrics})
        return rows

    def prediction(self, outcomes: list[Outcome], threshold: float) -> Prediction:
        """The five most likely classes."""
        outcome = outcomes[0]
        pairs = zip(outcome.said["classes"], outcome.said["shares"], strict=True)
        labels = [{"category": k, "name": self.data.classes[k], "score": min(1.0, share)} for k, share in pairs]
        example = outcome.example
        return Prediction.model_validate(
            {"image": example.name, "width": example.image_width, "height": example.image_height, "labels": labels}
        )

    def truth(self, outcome: Outcome) -> str:
        """The class's name."""
        return self.data.classes[sample_of(outcome.example).label or 0]
