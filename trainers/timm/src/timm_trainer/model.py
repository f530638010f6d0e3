"""Makes the model, and fills it with pretrained weights where the job asks for them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import nn
from vision_trainer.contracts import DatasetSample
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import ObjectMissing

from .settings import TimmSettings

log = logging.getLogger(__name__)

_SIZE_STEP = 32


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the model expects: a square of `size` pixels, normalised by mean and standard deviation per channel."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def model_input(model_name: str, settings: TimmSettings, samples: list[DatasetSample]) -> ModelInput:
    """The input of the model for this dataset. Raises MODEL_UNAVAILABLE for a name timm does not know."""
    cfg = _pretrained_cfg(model_name)
    own_size = int(cfg.input_size[-1])
    size = settings.image_size
    if size is None:
        # Scaling small images up to the model's size costs time and shows the model nothing new.
        largest = max((min(sample.width, sample.height) for sample in samples), default=own_size)
        rounded = max(_SIZE_STEP, -(-largest // _SIZE_STEP) * _SIZE_STEP)
        size = own_size if cfg.fixed_input_size else min(own_size, rounded)
    return ModelInput(size, tuple(cfg.mean), tuple(cfg.std))


def build_model(job: TrainerJob, settings: TimmSettings, size: int, num_classes: int, *, resuming: bool) -> nn.Module:
    """A new model with a head for `num_classes`; pretrained unless a checkpoint is loaded over it anyway.

    Raises TrainerFailure: MODEL_UNAVAILABLE for an unknown model or weights that cannot be had, BAD_CONFIG for settings
    the model does not take.
    """
    env = job.env
    model_name = env.model_name or ""
    cfg = _pretrained_cfg(model_name)
    from_hub = settings.pretrained and not env.pretrained_uri and not resuming
    if from_hub and not env.allow_network:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"Pretrained weights of {model_name} are not at hand and this job may not use the network. Place the "
            f"model's file at s3://{env.storage.bucket}/weights/{env.framework}/{model_name}.safetensors and submit "
            "the job again, let the worker use the network (ALLOW_NETWORK=1), or set pretrained to false.",
        )
    options: dict[str, Any] = {"drop_rate": settings.drop_rate}
    if settings.drop_path_rate is not None:
        options["drop_path_rate"] = settings.drop_path_rate
    if cfg.fixed_input_size:
        options["img_size"] = size
    try:
        model: nn.Module = timm.create_model(model_name, pretrained=from_hub, num_classes=num_classes, **options)
    except (OSError, TimeoutError) as error:
        if not from_hub:
            raise
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE, f"The hub did not give the weights of {model_name}: {type(error).__name__}."
        ) from error
    except (TypeError, ValueError, AssertionError) as error:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"{model_name} does not take these settings: {error}") from error
    if env.pretrained_uri and not resuming:
        _load_pretrained(job, model, env.pretrained_uri)
    return model


def _pretrained_cfg(model_name: str) -> Any:
    if not timm.is_model(model_name):
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"MODEL_NAME: found {model_name!r}, which timm {timm.__version__} does not know.",
        )
    cfg = timm.get_pretrained_cfg(model_name)
    if cfg is None:
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"timm has no configuration for {model_name}.")
    return cfg


def _load_pretrained(job: TrainerJob, model: nn.Module, uri: str) -> None:
    """Copies every weight whose name and shape fit; the classifier of another class count starts afresh."""
    path = job.work_dir / "pretrained.safetensors"
    try:
        job.storage.download(uri, path)
        weights = load_file(path)
    except ObjectMissing as error:
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"PRETRAINED_URI: {error.message}") from error
    except Exception as error:
        if isinstance(error, TrainerFailure):
            raise
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE, f"PRETRAINED_URI: {uri} is not a safetensors file."
        ) from error
    finally:
        Path(path).unlink(missing_ok=True)
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
    if fresh:
        job.events.log(
            "info", f"Pretrained weights: {taken} of {len(learned)} taken; starting afresh: {', '.join(fresh[:20])}"
        )


def choose_device(requested: str) -> torch.device:
    """The device to train on. Raises BAD_CONFIG when a GPU is asked for that is not there."""
    if requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(requested)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"DEVICE: found {requested!r}, but {torch.cuda.device_count()} GPUs are visible."
        )
    return device
