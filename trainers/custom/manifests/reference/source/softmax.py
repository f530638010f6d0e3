"""Softmax regression on small pictures, in numpy: the model of this reference repository."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 16
# Weights, biases, and the velocity of each.
PARTS = ("w", "b", "vw", "vb")


def pixels(path):
    """One picture as a vector."""
    image = Image.open(path).convert("L").resize((SIDE, SIDE))
    return np.asarray(image, np.float32).ravel() / 255.0 - 0.5


def load(folder):
    """(pictures, labels, names) of an image folder whose sub-folders sort as the classes do."""
    images, labels, names = [], [], []
    for label, sub in enumerate(sorted(path for path in Path(folder).iterdir() if path.is_dir())):
        for path in sorted(sub.iterdir()):
            images.append(pixels(path))
            labels.append(label)
            names.append(path.stem)
    return np.stack(images), np.asarray(labels), names


def scores(weights, images):
    """Probabilities, one row a picture."""
    logits = images @ weights["w"] + weights["b"]
    logits -= logits.max(axis=1, keepdims=True)
    exp = np.exp(logits)
    return exp / exp.sum(axis=1, keepdims=True)


def gradients(weights, images, labels):
    """Sums over the pictures, in one array: of the loss, then of the gradients of the biases and of the weights."""
    probabilities = scores(weights, images)
    rows = np.arange(len(labels))
    loss = -np.log(probabilities[rows, labels] + 1e-9).sum()
    probabilities[rows, labels] -= 1
    return np.concatenate([[loss], probabilities.sum(axis=0), (images.T @ probabilities).ravel()])


def update(weights, sums, count, lr, momentum, weight_decay=0.0):
    """One step of gradient descent with momentum, in place, by `gradients` of `count` pictures. Returns their loss."""
    classes = len(weights["b"])
    means = sums / count
    found = {"b": means[1 : 1 + classes], "w": means[1 + classes :].reshape(weights["w"].shape)}
    for name, gradient in found.items():
        gradient = gradient + weight_decay * weights[name]
        weights["v" + name] = (momentum * weights["v" + name] + gradient).astype(np.float32)
        weights[name] = (weights[name] - lr * weights["v" + name]).astype(np.float32)
    return float(means[0])


def measure(weights, images, labels):
    """(accuracy, loss)."""
    probabilities = scores(weights, images)
    sure = probabilities[np.arange(len(labels)), labels]
    return float((probabilities.argmax(axis=1) == labels).mean()), float(-np.log(sure + 1e-9).mean())


def save(path, weights, **more):
    """Written in place and not at once, as many repositories do."""
    np.savez(path, meta=json.dumps(more), **weights)


def read(path):
    """(weights, what was stored beside them)."""
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in PARTS}, json.loads(str(data["meta"]))
