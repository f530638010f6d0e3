"""Writes and reads the files of a checkpoint: weights as safetensors, the rest as a torch file of plain values."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.resume import CheckpointTorn

from .captions import CaptionTokens
from .learner import Learner
from .progress import Progress

WEIGHTS = "model.safetensors"
AVERAGED = "ema.safetensors"
BEST = "best.safetensors"
STATE = "state.pt"
CONFIG = "config.json"


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's weights and buffers on the CPU, each contiguous and on its own, as safetensors wants."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, value in model.state_dict().items()
    }


@dataclass(slots=True)
class SavedState:
    """A checkpoint in memory. `rngs` and `world` are those of the processes that wrote it, by rank."""

    weights: dict[str, Tensor]
    averaged: dict[str, Tensor] | None
    best: dict[str, Tensor] | None
    config: dict[str, Any]
    tokens: CaptionTokens | None
    progress: Progress
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    rngs: list[dict[str, Any]]
    parts: int
    batch_size: int

    @property
    def world(self) -> int:
        """How many processes wrote it."""
        return len(self.rngs)


def save_state(
    folder: Path,
    learner: Learner,
    progress: Progress,
    best: dict[str, Tensor] | None,
    rngs: list[dict[str, Any]],
    batch_size: int,
    *,
    best_is_current: bool,
) -> None:
    """Writes all files of a checkpoint except its manifest. `best_is_current` saves writing the best weights twice.

    `rngs` are the states of every process's generators, in the order of ranks.
    """
    save_file(weights_of(learner.model), folder / WEIGHTS)
    if learner.ema is not None:
        save_file(weights_of(learner.ema.module), folder / AVERAGED)
    if best is not None and not best_is_current:
        save_file(best, folder / BEST)
    (folder / CONFIG).write_text(config_text(learner.model), encoding="utf-8")
    if learner.task.data.tokens is not None:
        learner.task.data.tokens.save(folder)
    state = {
        "progress": progress.as_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "scaler": learner.scaler.state_dict(),
        "rngs": rngs,
        "parts": learner.parts,
        "batch_size": batch_size,
    }
    torch.save(state, folder / STATE)


def config_text(model: nn.Module) -> str:
    """The model's whole configuration as JSON."""
    config: Any = model.config
    return str(config.to_json_string(use_diff=False))


def read_state(folder: Path) -> SavedState:
    """Reads a checkpoint's files. Raises CheckpointTorn for files that are not what a trainer of ours writes.

    Nothing is unpickled but tensors and plain values.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        state = torch.load(folder / STATE, weights_only=True, map_location="cpu")
        averaged, best = (load_file(folder / name) if (folder / name).exists() else None for name in (AVERAGED, BEST))
        return SavedState(
            weights=load_file(folder / WEIGHTS),
            averaged=averaged,
            best=best,
            config=config,
            tokens=read_tokens(folder, config),
            progress=Progress(**state.pop("progress")),
            **state,
        )
    except Exception as error:
        raise CheckpointTorn(f"its files cannot be read: {type(error).__name__}") from error


def restore(saved: SavedState, learner: Learner, rank: int = 0) -> None:
    """Puts a checkpoint back into a new learner. Every name must match: nothing is left at random.

    Raises BAD_CONFIG for the weights of another model.
    """
    try:
        learner.model.load_state_dict(saved.weights)
        if learner.ema is not None:
            learner.ema.module.load_state_dict(saved.averaged or saved.weights)
        learner.optimizer.load_state_dict(saved.optimizer)
        learner.scaler.load_state_dict(saved.scaler)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"RESUME_URI: found a checkpoint that does not fit this model: {str(error)[:300]}",
        ) from error
    learner.parts = saved.parts
    # With more processes than before the new ones go on from their own seeds.
    if rank < saved.world:
        write_rngs(saved.rngs[rank], learner.device)


def evaluated_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint that were validated: the averaged ones where there are any."""
    averaged = folder / AVERAGED
    weights: dict[str, Tensor] = load_file(averaged if averaged.exists() else folder / WEIGHTS)
    return weights


def read_tokens(folder: Path, config: dict[str, Any]) -> CaptionTokens | None:
    """The words of a captioning checkpoint."""
    text = config.get("text_config")
    if not isinstance(text, dict):
        return None
    return CaptionTokens.from_folder(folder, text["pad_token_id"], text["bos_token_id"], text["sep_token_id"])


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's generators, from which dropout and denoising are drawn."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def read_rngs(device: torch.device) -> dict[str, Any]:
    """The state of this process's generators, as plain values and tensors."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def write_rngs(rngs: dict[str, Any], device: torch.device) -> None:
    """The reverse of `read_rngs`."""
    version, internal, gauss_next = rngs["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, position, has_gauss, gauss = rngs["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(rngs["torch"])
    if rngs["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(rngs["cuda"], device)
