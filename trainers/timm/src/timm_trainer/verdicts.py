"""An image's verdict in the platform's words."""

from __future__ import annotations

from vision_trainer.contracts import Label, Prediction

from .evaluation import Verdict


def prediction_of(image: str, width: int, height: int, verdict: Verdict, classes: list[str]) -> Prediction:
    """What the model says about an image of width x height pixels, the likeliest class first."""
    labels = [
        # A softmax may exceed 1 by a rounding error.
        Label(category=category, name=classes[category], score=min(1.0, score))
        for category, score in zip(verdict.labels, verdict.scores, strict=True)
    ]
    return Prediction(image=image, width=width, height=height, labels=labels)
