"""The model: a point that walks towards a target, pushed by the samples and by chance. Exact on any machine.

It has all that makes resuming hard: weights, momentum, a random generator, and an order of samples drawn each epoch.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vision_trainer.contracts import DatasetSample

SIZE = 16
_MOMENTUM = 0.9
WEIGHTS = "model.safetensors"
STATE = "state.json"


@dataclass(slots=True)
class Walk:
    """Weights, momentum and generator; everything a step reads or writes."""

    weights: list[float]
    momentum: list[float]
    rng: random.Random

    @classmethod
    def start(cls, seed: int) -> Walk:
        """A point drawn from `seed`, at rest."""
        rng = random.Random(seed)
        return cls([rng.gauss(0.0, 1.0) for _ in range(SIZE)], [0.0] * SIZE, rng)

    def step(self, samples: Sequence[DatasetSample], learning_rate: float) -> float:
        """One update; returns the loss before it (mean squared distance to the target)."""
        loss = self.loss()
        pull = sum(unit(sample.sha256) for sample in samples) / max(1, len(samples)) - 0.5
        for index, weight in enumerate(self.weights):
            slope = weight - 1.0 + 0.1 * pull + 0.1 * self.rng.gauss(0.0, 1.0)
            self.momentum[index] = _MOMENTUM * self.momentum[index] + slope
            self.weights[index] = weight - learning_rate * self.momentum[index]
        return loss

    def loss(self) -> float:
        """How far the point is from its target; NaN or infinite once it ran away."""
        try:
            return sum((weight - 1.0) ** 2 for weight in self.weights) / SIZE
        except OverflowError:
            return math.inf

    def scores(self, sample: DatasetSample, classes: int) -> list[float]:
        """One score a class, summing to 1: the nearer the target, the more samples get their own label."""
        skill = 1.0 / (1.0 + self.loss())
        drawn = unit(sample.sha256)
        label = sample.label if sample.label is not None else int(drawn * classes)
        guess = label if drawn < skill else (label + 1) % classes
        rest = (1.0 - skill) / max(1, classes)
        return [rest + (skill if index == guess else 0.0) for index in range(classes)]


def unit(sha256: str) -> float:
    """A number in [0, 1) that a sample has for ever."""
    return int(sha256[:13], 16) / 16**13


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """The order of the samples: a pure function, so a resume can step in anywhere."""
    order = list(range(count))
    random.Random(seed * 1_000_003 + epoch).shuffle(order)
    return order


@dataclass(slots=True)
class Progress:
    """Where training stands: epochs done, steps done in this one, what was measured."""

    epoch: int = 0
    step: int = 0
    update: int = 0
    loss_sum: float = 0.0
    non_finite_steps: int = 0
    best_epoch: int = 0
    best_top1: float = -1.0
    best_weights: list[float] = field(default_factory=list)
    history: list[dict[str, float | None]] = field(default_factory=list)


def save_state(folder: Path, walk: Walk, progress: Progress, padding_bytes: int) -> None:
    """Writes the files of a checkpoint except its manifest."""
    write_weights(folder / WEIGHTS, walk.weights)
    version, internal, gauss_next = walk.rng.getstate()
    about = {name: getattr(progress, name) for name in Progress.__slots__}
    state = {"momentum": walk.momentum, "rng": [version, list(internal), gauss_next], "progress": about}
    (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    if padding_bytes:
        with (folder / "padding.bin").open("wb") as file:
            file.truncate(padding_bytes)


def load_state(folder: Path) -> tuple[Walk, Progress]:
    """What `save_state` wrote. Raises ValueError or KeyError for files that are something else."""
    state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    version, internal, gauss_next = state["rng"]
    rng = random.Random()
    rng.setstate((version, tuple(internal), gauss_next))
    return Walk(read_weights(folder / WEIGHTS), state["momentum"], rng), Progress(**state["progress"])


def write_weights(path: Path, weights: Sequence[float]) -> None:
    """A safetensors file with one tensor `weights` (float64): header length, header, little-endian numbers."""
    body = struct.pack(f"<{len(weights)}d", *weights)
    about = {"weights": {"dtype": "F64", "shape": [len(weights)], "data_offsets": [0, len(body)]}}
    header = json.dumps(about).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)


def read_weights(path: Path) -> list[float]:
    """The numbers of a file that `write_weights` wrote. Raises ValueError for any other file."""
    content = path.read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", content)
        about = json.loads(content[8 : 8 + length])["weights"]
        start, end = about["data_offsets"]
        numbers = struct.unpack(f"<{SIZE}d", content[8 + length + start : 8 + length + end])
    except (struct.error, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} holds no {SIZE} weights") from error
    return list(numbers)
