"""Makes the model with the right head, and says what it expects as input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import nn
from vision_trainer.contracts import DatasetSample
from vision_trainer.failures import FailureCode, TrainerFailure

from .settings import TimmSettings

_SIZE_STEP = 32


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the model expects: a square of `size` pixels, normalised by mean and standard deviation per channel."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"size": self.size, "mean": list(self.mean), "std": list(self.std)}


def model_input(model_name: str, settings: TimmSettings, samples: list[DatasetSample]) -> ModelInput:
    """The input of the model for this dataset. Raises MODEL_UNAVAILABLE for a name timm does not know."""
    cfg = pretrained_cfg(model_name)
    own_size = int(cfg.input_size[-1])
    size = settings.image_size
    if size is None:
        # Scaling small images up to the model's size costs time and shows the model nothing new.
        largest = max((min(sample.width, sample.height) for sample in samples), default=own_size)
        rounded = max(_SIZE_STEP, -(-largest // _SIZE_STEP) * _SIZE_STEP)
        size = own_size if cfg.fixed_input_size else min(own_size, rounded)
    if settings.mixed_sizes and cfg.fixed_input_size:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"CONFIG_JSON.mixed_sizes: found true, but {model_name} takes one size only."
        )
    return ModelInput(size, tuple(cfg.mean), tuple(cfg.std))


def build_model(
    model_name: str,
    num_classes: int,
    size: int,
    *,
    drop_rate: float = 0.0,
    drop_path_rate: float | None = None,
    from_hub: bool = False,
) -> nn.Module:
    """A new model with a head for `num_classes`, random weights unless `from_hub`.

    Raises TrainerFailure: MODEL_UNAVAILABLE for an unknown model or weights that the hub does not give, BAD_CONFIG for
    settings the model does not take.
    """
    options: dict[str, Any] = {"drop_rate": drop_rate}
    if drop_path_rate is not None:
        options["drop_path_rate"] = drop_path_rate
    if pretrained_cfg(model_name).fixed_input_size:
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
    return model


def pretrained_cfg(model_name: str) -> Any:
    """timm's configuration of the model. Raises MODEL_UNAVAILABLE for a name timm does not know."""
    if not timm.is_model(model_name):
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"MODEL_NAME: found {model_name!r}, which timm {timm.__version__} does not know.",
        )
    cfg = timm.get_pretrained_cfg(model_name)
    if cfg is None:
        raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"timm has no configuration for {model_name}.")
    return cfg


def choose_device(requested: str, rank: int = 0, world: int = 1) -> torch.device:
    """The device of this process: with several processes on GPUs, each has the one of its rank.

    Raises BAD_CONFIG when GPUs are asked for that are not there.
    """
    present = torch.cuda.device_count()
    if requested == "cpu" or (requested == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if world > max(1, present):
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"NUM_PROCESSES: found {world}, expected at most the number of GPUs, of which {present} are visible.",
        )
    device = torch.device("cuda", rank) if world > 1 else torch.device("cuda" if requested == "auto" else requested)
    if (device.index or 0) >= present:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"DEVICE: found {requested!r}, but {present} GPUs are visible to this job."
        )
    return device
