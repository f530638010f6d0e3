# SPDX-License-Identifier: AGPL-3.0-only
"""Writes and reads the files of a checkpoint: weights as safetensors, the rest as a torch file of plain values.

Everything is in full precision. The framework's own last.pt holds averaged weights and optimizer state in half
precision, no generators and no place inside the epoch; a run cannot go on exactly from it.
"""

from __future__ import annotations

import pickle
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from vision_trainer.resume import CheckpointTorn

from .learner import Learner
from .progress import Progress

WEIGHTS = "model.safetensors"
AVERAGED = "ema.safetensors"
BEST = "best.safetensors"
STATE = "state.pt"
_BROKEN = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError)


@dataclass(frozen=True, slots=True)
class SavedState:
    """A checkpoint in memory. `best` are the best weights so far, None before the first evaluation."""

    weights: dict[str, Tensor]
    averaged: dict[str, Tensor]
    best: dict[str, Tensor] | None
    progress: Progress
    rest: dict[str, Any]

    @property
    def world(self) -> int:
        """How many processes trained."""
        return int(self.rest.get("world", 1))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's weights and buffers on the CPU, each contiguous and on its own, as safetensors wants."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, value in model.state_dict().items()
    }


def save_state(
    folder: Path,
    learner: Learner,
    progress: Progress,
    best: dict[str, Tensor] | None,
    world: int,
    *,
    best_is_current: bool,
) -> None:
    """Writes all files of a checkpoint except its manifest. `best_is_current` saves writing the best weights twice.

    The generators are this process's; those of the others are seeded again by every update, as these are.
    """
    trainer = learner.trainer
    model = trainer.model
    save_file(weights_of(model), folder / WEIGHTS)
    save_file(weights_of(trainer.ema.ema), folder / AVERAGED)
    if best is not None and not best_is_current:
        save_file(best, folder / BEST)
    criterion = getattr(model, "criterion", None)
    state = {
        "progress": progress.as_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "ema_updates": trainer.ema.updates,
        "criterion_updates": getattr(criterion, "updates", None),
        "rng": _read_rngs(trainer.device),
        "world": world,
    }
    torch.save(state, folder / STATE)


def read_state(folder: Path) -> SavedState:
    """Reads a checkpoint; unpickles nothing but tensors and plain values. Raises CheckpointTorn for anything else."""
    try:
        rest: dict[str, Any] = torch.load(folder / STATE, weights_only=True, map_location="cpu")
        progress = Progress(**rest.pop("progress"))
        weights, averaged = load_file(folder / WEIGHTS), load_file(folder / AVERAGED)
        best = load_file(folder / BEST) if (folder / BEST).exists() else None
    except _BROKEN as error:
        raise CheckpointTorn(f"its files cannot be read: {type(error).__name__}") from error
    if {"optimizer", "scaler", "ema_updates", "criterion_updates", "rng"} - set(rest):
        raise CheckpointTorn(f"{STATE} lacks a part")
    if best is None and progress.best_epoch > 0:
        best = averaged
    return SavedState(weights, averaged, best, progress, rest)


def restore(saved: SavedState, learner: Learner) -> None:
    """Puts a checkpoint into the learner and this process's random generators."""
    trainer, rest = learner.trainer, saved.rest
    model = trainer.model
    model.load_state_dict(saved.weights)
    trainer.ema.ema.load_state_dict(saved.averaged)
    trainer.ema.updates = rest["ema_updates"]
    trainer.optimizer.load_state_dict(rest["optimizer"])
    trainer.scaler.load_state_dict(rest["scaler"])
    if rest["criterion_updates"] is not None:
        # The end-to-end loss of YOLO26 moves its weight from one head to the other, once an epoch.
        model.criterion = model.init_criterion()
        model.criterion.updates = rest["criterion_updates"] - 1
        model.criterion.update()
    learner.parts = saved.progress.parts
    _write_rngs(rest["rng"], trainer.device)


def best_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint that are worth most: the best so far, else the averaged ones.

    Raises CheckpointTorn when they cannot be read.
    """
    try:
        weights: dict[str, Tensor] = load_file(folder / (BEST if (folder / BEST).exists() else AVERAGED))
    except _BROKEN as error:
        raise CheckpointTorn(f"its weights cannot be read: {type(error).__name__}") from error
    return weights


def _read_rngs(device: torch.device) -> dict[str, Any]:
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [str(kind), torch.from_numpy(np.array(keys, dtype=np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _write_rngs(state: dict[str, Any], device: torch.device) -> None:
    random.setstate(state["python"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
