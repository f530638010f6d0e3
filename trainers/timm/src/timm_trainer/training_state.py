"""Writes and reads the files of a checkpoint: weights as safetensors, the rest as a torch file of plain values."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .learner import Learner
from .progress import Progress

WEIGHTS = "model.safetensors"
AVERAGED = "ema.safetensors"
BEST = "best.safetensors"
STATE = "state.pt"


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's weights and buffers on the CPU, each contiguous and on its own, as safetensors wants."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, value in model.state_dict().items()
    }


def save_state(
    folder: Path, learner: Learner, progress: Progress, best: dict[str, Tensor] | None, *, best_is_current: bool
) -> None:
    """Writes all files of a checkpoint except its manifest. `best_is_current` saves writing the best weights twice."""
    save_file(weights_of(learner.model), folder / WEIGHTS)
    if learner.ema is not None:
        save_file(weights_of(learner.ema.module), folder / AVERAGED)
    if best is not None and not best_is_current:
        save_file(best, folder / BEST)
    state = {
        "progress": progress.as_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "scaler": learner.scaler.state_dict(),
        "rng": _read_rngs(learner.device),
        "parts": learner.parts,
    }
    torch.save(state, folder / STATE)


def load_state(folder: Path, learner: Learner) -> tuple[Progress, dict[str, Tensor] | None]:
    """Puts a checkpoint back: (progress, best weights so far). Never unpickles more than tensors and plain values."""
    learner.model.load_state_dict(load_file(folder / WEIGHTS))
    if learner.ema is not None:
        learner.ema.module.load_state_dict(load_file(folder / AVERAGED))
    state: dict[str, Any] = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    learner.optimizer.load_state_dict(state["optimizer"])
    learner.scaler.load_state_dict(state["scaler"])
    learner.parts = state["parts"]
    progress = Progress(**state["progress"])
    best = None
    if (folder / BEST).exists():
        best = load_file(folder / BEST)
    elif progress.best_epoch > 0:
        best = weights_of(learner.evaluated_model)
    _write_rngs(state["rng"], learner.device)
    return progress, best


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's generators, from which initial weights and dropout are drawn."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _read_rngs(device: torch.device) -> dict[str, Any]:
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _write_rngs(rngs: dict[str, Any], device: torch.device) -> None:
    version, internal, gauss_next = rngs["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, position, has_gauss, gauss = rngs["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(rngs["torch"])
    if rngs["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(rngs["cuda"], device)
