"""Writes and reads the files of a checkpoint: weights as safetensors, the rest as a torch file of plain values."""

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
    averaged: dict[str, Tensor] | None
    best: dict[str, Tensor] | None
    progress: Progress
    rest: dict[str, Any]

    @property
    def world(self) -> int:
        """How many processes trained."""
        return len(self.rest["rng"])

    @property
    def batch_size(self) -> int:
        """The batch size in use, which `auto_batch` may have chosen."""
        return int(self.rest["batch_size"])


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
    rngs: list[Any],
    batch_size: int,
    *,
    best_is_current: bool,
) -> None:
    """Writes all files of a checkpoint except its manifest. `best_is_current` saves writing the best weights twice.

    `rngs` are the random generators of each process, from `read_rngs`.
    """
    save_file(weights_of(learner.model), folder / WEIGHTS)
    if learner.ema is not None:
        save_file(weights_of(learner.ema.module), folder / AVERAGED)
    if best is not None and not best_is_current:
        save_file(best, folder / BEST)
    state = {
        "progress": progress.as_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "scaler": learner.scaler.state_dict(),
        "rng": rngs,
        "parts": learner.parts,
        "batch_size": batch_size,
    }
    torch.save(state, folder / STATE)


def read_state(folder: Path) -> SavedState:
    """Reads a checkpoint; unpickles nothing but tensors and plain values. Raises CheckpointTorn for anything else."""
    try:
        rest: dict[str, Any] = torch.load(folder / STATE, weights_only=True, map_location="cpu")
        progress = Progress(**rest.pop("progress"))
        weights = load_file(folder / WEIGHTS)
        averaged = load_file(folder / AVERAGED) if (folder / AVERAGED).exists() else None
        best = load_file(folder / BEST) if (folder / BEST).exists() else None
        if {"optimizer", "scaler", "rng", "parts", "batch_size"} - set(rest):
            raise CheckpointTorn(f"{STATE} lacks a part")
    except _BROKEN as error:
        raise CheckpointTorn(f"its files cannot be read: {type(error).__name__}") from error
    if best is None and progress.best_epoch > 0:
        best = averaged or weights
    return SavedState(weights, averaged, best, progress, rest)


def best_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint that are worth most: the best so far, else the averaged, else the current ones.

    Raises CheckpointTorn when they cannot be read.
    """
    for name in (BEST, AVERAGED, WEIGHTS):
        if (folder / name).exists():
            try:
                weights: dict[str, Tensor] = load_file(folder / name)
            except _BROKEN as error:
                raise CheckpointTorn(f"{name} cannot be read: {type(error).__name__}") from error
            return weights
    raise CheckpointTorn("it holds no weights")


def restore(saved: SavedState, learner: Learner, rank: int, world: int) -> None:
    """Puts a checkpoint into the learner and this process's random generators."""
    learner.model.load_state_dict(saved.weights)
    if learner.ema is not None and saved.averaged is not None:
        learner.ema.module.load_state_dict(saved.averaged)
    learner.optimizer.load_state_dict(saved.rest["optimizer"])
    learner.scaler.load_state_dict(saved.rest["scaler"])
    learner.parts = saved.rest["parts"]
    if saved.world == world:
        write_rngs(saved.rest["rng"][rank], learner.device)


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's generators, from which initial weights and dropout are drawn."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def read_rngs(device: torch.device) -> dict[str, Any]:
    """The state of this process's random generators, as plain values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def write_rngs(rngs: dict[str, Any], device: torch.device) -> None:
    """Puts `read_rngs` back."""
    version, internal, gauss_next = rngs["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, position, has_gauss, gauss = rngs["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(rngs["torch"])
    if rngs["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(rngs["cuda"], device)
