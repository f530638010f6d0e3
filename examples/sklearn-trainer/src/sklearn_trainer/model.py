"""The model and its files: weights as safetensors, the rest as JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import SGDClassifier
from vision_trainer.contracts import DatasetSample
from vision_trainer.dataset import DatasetReader
from vision_trainer.images import sample_image

WEIGHTS, STATE = "model.safetensors", "state.json"
Weights = dict[str, NDArray[np.float64]]


def new_model(learning_rate: float, alpha: float, classes: int, features: int) -> SGDClassifier:
    """Logistic regression at zero. `shuffle` is off: the order is ours, so that a resume can repeat it."""
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=learning_rate, alpha=alpha, shuffle=False)
    model.partial_fit(np.zeros((1, features)), [0], classes=np.arange(classes))
    put_weights(model, {"coef": np.zeros_like(model.coef_), "intercept": np.zeros_like(model.intercept_)})
    return model


def weights_of(model: SGDClassifier) -> Weights:
    """A copy of what it has learned."""
    return {"coef": model.coef_.copy(), "intercept": model.intercept_.copy()}


def put_weights(model: SGDClassifier, weights: Weights) -> None:
    """Lets it go on from there."""
    model.coef_[...], model.intercept_[...] = weights["coef"], weights["intercept"]


def pixels_of(reader: DatasetReader, samples: list[DatasetSample], size: int) -> NDArray[np.float64]:
    """samples x (size * size) grey values from -1 to 1."""
    images = (sample_image(reader, sample).convert("L").resize((size, size)) for sample in samples)
    return np.stack([np.asarray(image, dtype=np.float64).ravel() / 127.5 - 1 for image in images])


def save_state(folder: Path, model: SGDClassifier, best: Weights, progress: dict[str, Any]) -> None:
    """All that an exact resume needs. The best weights travel along: they are what is handed out in the end."""
    save_file(weights_of(model), folder / WEIGHTS)
    save_file(best, folder / f"best-{WEIGHTS}")
    (folder / STATE).write_text(json.dumps(progress))


def load_state(folder: Path, model: SGDClassifier) -> tuple[Weights, dict[str, Any]]:
    """(best weights, progress) of a folder that `save_state` wrote."""
    put_weights(model, load_file(folder / WEIGHTS))
    return load_file(folder / f"best-{WEIGHTS}"), json.loads((folder / STATE).read_text())
