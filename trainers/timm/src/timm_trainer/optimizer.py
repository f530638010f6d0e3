"""The update rules by name. Biases and normalisation layers are not decayed, as in timm."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .settings import TimmSettings


def make_optimizer(model: nn.Module, settings: TimmSettings, peak_lr: float) -> torch.optim.Optimizer:
    """The optimizer of the settings. torch's own where there is one: importing timm.optim takes more than a second."""
    groups = _parameter_groups(model, settings.weight_decay)
    # One kernel for all weights instead of a loop over them in Python.
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=peak_lr, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=peak_lr, fused=True)
        case "sgd":
            nesterov = settings.momentum > 0
            return torch.optim.SGD(groups, lr=peak_lr, momentum=settings.momentum, nesterov=nesterov, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=peak_lr, momentum=settings.momentum)
        case "lamb":
            from timm.optim.lamb import Lamb

            lamb: torch.optim.Optimizer = Lamb(groups, lr=peak_lr)
            return lamb


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: what is decayed and what is not (one-dimensional, biases, and what the model itself exempts)."""
    exempt: set[str] = set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()  # type: ignore[operator]
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        spare = parameter.ndim <= 1 or name.endswith(".bias") or name in exempt
        (spared if spare else decayed).append(parameter)
    return [{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": weight_decay}]
