"""Published weights: from a file in the platform's store (PRETRAINED_URI), or from the hub where that is allowed."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import HashMismatch, ObjectMissing

from .settings import TimmSettings

log = logging.getLogger(__name__)

_PICKLED = (".pt", ".pth", ".tar", ".bin")
# Where training scripts keep the weights inside what they save, most wanted first.
_NESTED_IN = ("state_dict_ema", "model_ema", "state_dict", "model")


def wants_hub(job: TrainerJob, settings: TimmSettings) -> bool:
    """Whether the hub has to be asked. Raises MODEL_UNAVAILABLE when it would have to be and may not."""
    if not settings.pretrained or job.env.pretrained_uri:
        return False
    if not job.env.allow_network:
        name = job.env.model_name
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"Pretrained weights of {name} are not at hand and this job may not use the network. Place the model's "
            f"file at s3://{job.env.storage.bucket}/weights/{job.env.framework}/{name}.safetensors "
            f"(vp models add-weights {job.env.framework} {name} <file>) and submit the job again, let the worker use "
            "the network (ALLOW_NETWORK=1), or set pretrained to false.",
        )
    return True


def load_pretrained(job: TrainerJob, model: nn.Module, uri: str) -> None:
    """Copies every weight whose name and shape fit; the classifier of another class count starts afresh.

    Raises MODEL_UNAVAILABLE when there is no such file, when it is not what it was when it was stored, when it is no
    file of weights, or when it is another model's.
    """
    weights = _fetch(job, uri)
    own = model.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    learned = [name for name, _ in model.named_parameters()]
    taken = sum(name in fitting for name in learned)
    if taken < len(learned) / 2:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"PRETRAINED_URI: only {taken} of {len(learned)} weights of {job.env.model_name} are in {uri}; "
            "it belongs to another model.",
        )
    model.load_state_dict(fitting, strict=False)
    fresh = [name for name in learned if name not in fitting]
    log.info("pretrained: %d of %d weights taken, new: %s", taken, len(learned), fresh)
    words = f"; starting afresh: {', '.join(fresh[:20])}" if fresh else ""
    job.events.log("info", f"Pretrained weights: {taken} of {len(learned)} taken{words}")


def _fetch(job: TrainerJob, uri: str) -> dict[str, Tensor]:
    path = job.work_dir / "pretrained"
    try:
        job.storage.download(uri, path, sha256=job.storage.stored_sha256(uri))
        return _read(path, uri)
    except ObjectMissing as error:
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"PRETRAINED_URI: {error.message}") from error
    except HashMismatch as error:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"PRETRAINED_URI: {error.message} The file was damaged in the store; add the weights again.",
        ) from error
    finally:
        Path(path).unlink(missing_ok=True)


def _read(path: Path, uri: str) -> dict[str, Tensor]:
    """A safetensors file, or a pickled one that holds nothing but tensors and plain values."""
    try:
        if not uri.endswith(_PICKLED):
            weights: dict[str, Tensor] = load_file(path)
            return weights
        content: Any = torch.load(path, weights_only=True, map_location="cpu")
        while nested := next((name for name in _NESTED_IN if isinstance(content.get(name), dict)), None):
            content = content[nested]
        found = {
            str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)
        }
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, AttributeError, EOFError) as error:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"PRETRAINED_URI: {uri} is not a file of weights (safetensors, or a PyTorch file of tensors alone): "
            f"{type(error).__name__}.",
        ) from error
    return found
