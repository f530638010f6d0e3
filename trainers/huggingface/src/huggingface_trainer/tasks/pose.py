"""pose_estimation: the key points of one object, seen in its box (ViTPose, top-down)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from vision_trainer.contracts import DatasetSample, Prediction, SampleObject

from huggingface_trainer.augmentation import Augmentation, moved_about
from huggingface_trainer.coco_scores import object_area, score_keypoints
from huggingface_trainer.examples import Example, ImageSource
from huggingface_trainer.geometry import View, around_box

from .detection import measured_by_scores
from .task import Arrays, Measured, Outcome, Task, mean_loss, sample_of

# Heat spreads over this many heat map pixels (SimpleBaselines: 2 on a map of 64 x 48).
_SIGMA = 2.0
# COCO's spread of annotations for its 17 points of a person, and one for points nobody has measured.
_COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
    0.089, 0.089,
)  # fmt: skip
_OTHER_SIGMA = 0.05


class Pose(Task):
    """One heat map for each key point. transformers' ViTPose has no loss of its own: here it is the mean squared error.

    The score of an object is the mean height of its peaks.
    """

    type = "pose_estimation"
    primary_metric = "val/mAP50_95_pose"
    outputs = ("heatmaps",)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """How far each point may be off, as a share of the object's size (OKS)."""
        points = self.data.keypoints.names if self.data.keypoints else []
        is_person = len(points) == len(_COCO_SIGMAS) and points[0] == "nose"
        return _COCO_SIGMAS if is_person else (_OTHER_SIGMA,) * len(points)

    def examples(self, samples: Sequence[DatasetSample]) -> list[Example]:
        """One for each object with a labelled key point; crowds are left out."""
        return [
            Example(sample.id, sample.width, sample.height, sample, entry)
            for sample in samples
            for entry in sample.objects or ()
            if not entry.crowd and any(point.root[2] > 0 for point in entry.keypoints or ())
        ]

    def evaluation_view(self, example: Example) -> View:
        """The surroundings of the object's box; without a known object the whole image."""
        shape = self.data.shape
        if example.object is None:
            box = (0.0, 0.0, float(example.image_width), float(example.image_height))
            return around_box(box, shape.height, shape.width, padding=1.0)
        x, y, width, height = example.object.box
        return around_box((x, y, width, height), shape.height, shape.width)

    def training_view(self, example: Example, augmentation: Augmentation, rng: random.Random) -> View:
        """Shifted and zoomed a little, as boxes of a detector are."""
        return moved_about(self.evaluation_view(example), augmentation, rng)

    def target(self, example: Example, view: View, source: ImageSource, rng: random.Random | None) -> dict[str, Any]:
        """points (n, 2) in pixels of the input, weights (n,): 1 for a labelled point that lies in the input."""
        entry = example.object
        known = np.asarray([point.root for point in (entry.keypoints if entry else None) or ()], np.float32).reshape(
            -1, 3
        )
        points = view.to_input(known[:, :2])
        weights = (known[:, 2] > 0) & (points >= 0).all(axis=1) & (points < [view.width, view.height]).all(axis=1)
        if view.flip and self.data.keypoints is not None:
            # In a mirror image the left hand is the right one.
            order = [int(index) for index in self.data.keypoints.flip_indices]
            points, weights = points[order], weights[order]
        return {"points": points, "weights": weights.astype(np.float32)}

    def collate(self, targets: list[dict[str, Any]]) -> dict[str, Any]:
        """points: batch x n x 2; weights: batch x n."""
        return {
            name: torch.from_numpy(np.stack([target[name] for target in targets])) for name in ("points", "weights")
        }

    def loss(self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]) -> Tensor:
        """Mean squared error of the heat maps over the labelled points (Xiao et al. 2018, eq. 1)."""
        return self._heat_loss(self._heatmaps(model, inputs), targets)

    def measure(
        self, model: nn.Module, inputs: dict[str, Tensor], targets: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The same loss, and the heat maps."""
        heatmaps = self._heatmaps(model, inputs)
        return self._heat_loss(heatmaps, targets), {"heatmaps": heatmaps}

    def infer(self, model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """heatmaps: batch x n x height / 4 x width / 4."""
        return {"heatmaps": self._heatmaps(model, inputs)}

    def _heatmaps(self, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        heatmaps: Tensor = model(**inputs).heatmaps.float()
        return heatmaps

    def _heat_loss(self, heatmaps: Tensor, targets: dict[str, Any]) -> Tensor:
        weights = targets["weights"][..., None, None]
        height, width = heatmaps.shape[-2:]
        wanted = self._wanted(targets["points"], height, width)
        summed = ((heatmaps - wanted).square() * weights).sum()
        mean: Tensor = summed / (weights.sum().clamp(min=1) * height * width)
        return mean

    def _wanted(self, points: Tensor, height: int, width: int) -> Tensor:
        """A Gaussian of height 1 at each point: batch x n x height x width."""
        shape = self.data.shape
        scale = torch.tensor([width / shape.width, height / shape.height], device=points.device)
        # A pixel's value is that of its centre.
        at = points * scale - 0.5
        columns = torch.arange(width, device=points.device, dtype=torch.float32)
        rows = torch.arange(height, device=points.device, dtype=torch.float32)
        across = (columns - at[..., 0:1]).square()[..., None, :]
        down = (rows - at[..., 1:2]).square()[..., :, None]
        return torch.exp(-(across + down) / (2 * _SIGMA**2))

    def outcomes(self, raw: Arrays, examples: list[Example], views: list[View]) -> list[Outcome]:
        """points: n x (x, y, height of the peak) in the image's own pixels; score: the mean of the heights."""
        found = []
        for heat, example, view in zip(raw["heatmaps"], examples, views, strict=True):
            peaks, heights = peaks_of(heat)
            size = np.asarray([view.width / heat.shape[2], view.height / heat.shape[1]], np.float32)
            points = view.to_image(((peaks + 0.5) * size).astype(np.float32))
            heights = np.clip(heights, 0.0, 1.0)
            rows = np.concatenate([points, heights[:, None]], axis=1)
            found.append(Outcome(example, said={"points": rows, "score": float(heights.mean())}))
        return found

    def summarise(self, outcomes: list[Outcome]) -> Measured:
        """COCO's average precision by OKS, given the objects' boxes; and the mean OKS itself."""
        similarities = []
        for outcome in outcomes:
            outcome.score = self._similarity(outcome)
            if outcome.score is not None:
                similarities.append(outcome.score)
        scores = score_keypoints(outcomes, self.data.classes, self.sigmas)
        metrics = {
            "val/loss": mean_loss(outcomes),
            "val/OKS": float(np.mean(similarities)) if similarities else None,
            "val/mAP50_pose": scores.ap50,
            "val/mAP50_95_pose": scores.ap50_95,
        }
        return measured_by_scores(metrics, scores)

    def _similarity(self, outcome: Outcome) -> float | None:
        """The OKS of one object (formula: coco_scores.py); None where no point of it is labelled."""
        entry = outcome.example.object
        if entry is None:
            return None
        known = np.asarray([point.root for point in entry.keypoints or ()], np.float64)
        labelled = known[:, 2] > 0
        distances = np.square(known[:, :2] - outcome.said["points"][:, :2]).sum(axis=1)
        spread = 2 * np.square(2 * np.asarray(self.sigmas)) * max(object_area(list(entry.box)), 1.0)
        return float(np.exp(-distances / spread)[labelled].mean()) if labelled.any() else None

    def prediction(self, outcomes: list[Outcome], threshold: float) -> Prediction:
        """The objects with their key points; surest first."""
        example = outcomes[0].example
        objects = [self._object(outcome) for outcome in outcomes if outcome.said["score"] >= threshold]
        return Prediction.model_validate(
            {
                "image": example.name,
                "width": example.image_width,
                "height": example.image_height,
                "objects": sorted(objects, key=lambda found: -found["score"]),
            }
        )

    def _object(self, outcome: Outcome) -> dict[str, Any]:
        example, entry = outcome.example, outcome.example.object
        category = entry.category if entry else 0
        whole = (0.0, 0.0, float(example.image_width), float(example.image_height))
        return {
            "category": category,
            "name": self.data.classes[category],
            "score": outcome.said["score"],
            "box": list(entry.box if entry else whole),
            "keypoints": [[round(float(x), 2), round(float(y), 2), float(s)] for x, y, s in outcome.said["points"]],
        }

    def truth(self, outcome: Outcome) -> str:
        """The classes of the image's objects."""
        objects: Sequence[SampleObject] = sample_of(outcome.example).objects or ()
        return ", ".join(self.data.classes[entry.category] for entry in objects) or "nothing"


def peaks_of(heat: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(n x 2 positions x, y in heat map pixels, n heights) of the highest points of n maps.

    The position moves a quarter of a pixel towards the higher neighbour, as SimpleBaselines does it.
    """
    count, height, width = heat.shape
    flat = heat.reshape(count, -1)
    best = flat.argmax(axis=1)
    rows, columns = np.unravel_index(best, (height, width))
    peaks = np.stack([columns, rows], axis=1).astype(np.float32)
    for index, (row, column) in enumerate(zip(rows, columns, strict=True)):
        if 0 < column < width - 1:
            peaks[index, 0] += 0.25 * np.sign(heat[index, row, column + 1] - heat[index, row, column - 1])
        if 0 < row < height - 1:
            peaks[index, 1] += 0.25 * np.sign(heat[index, row + 1, column] - heat[index, row - 1, column])
    return peaks, flat[np.arange(count), best]
