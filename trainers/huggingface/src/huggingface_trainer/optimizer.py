"""The update rules by name. Biases and normalisation layers are not decayed; the backbone may learn more slowly."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .settings import TrainSettings


def make_optimizer(
    model: nn.Module, settings: TrainSettings, peak_lr: float, backbone: tuple[str, ...]
) -> torch.optim.Optimizer:
    """The optimizer of the settings over what is not frozen. Each group has its `share` of the learning rate."""
    groups = _parameter_groups(model, settings, peak_lr, backbone)
    # One kernel for all weights instead of a loop over them in Python: a tenth of a small model's step.
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=peak_lr, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=peak_lr, fused=True)
        case "sgd":
            nesterov = settings.momentum > 0
            return torch.optim.SGD(groups, lr=peak_lr, momentum=settings.momentum, nesterov=nesterov, fused=True)


def _parameter_groups(
    model: nn.Module, settings: TrainSettings, peak_lr: float, backbone: tuple[str, ...]
) -> list[dict[str, Any]]:
    """At most four groups: decayed or not (one-dimensional, biases), of the backbone or not; empty ones left out."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim > 1 and not name.endswith(".bias")
            slow = settings.backbone_lr_ratio < 1 and name.startswith(backbone)
            groups.setdefault((decayed, slow), []).append(parameter)
    made = []
    for (decayed, slow), parameters in sorted(groups.items()):
        share = settings.backbone_lr_ratio if slow else 1.0
        decay = settings.weight_decay if decayed else 0.0
        made.append({"params": parameters, "weight_decay": decay, "lr": peak_lr * share, "share": share})
    return made
