"""Layers that keep their weights."""

from __future__ import annotations

from typing import Any, cast

from timm.models import group_parameters
from torch import nn
from vision_trainer.failures import FailureCode, TrainerFailure


def freeze(model: nn.Module, how: str) -> list[nn.Module]:
    """Takes layers out of the training: none, half (the first half of the layers) or backbone (all but the head).

    Returns the modules that have frozen weights only: they belong in evaluation mode. Raises BAD_CONFIG for a model
    whose layers timm cannot tell apart.
    """
    if how == "none":
        return []
    frozen = _backbone(model) if how == "backbone" else _first_half(model)
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    return [
        module
        for module in model.modules()
        if (weights := list(module.parameters())) and not any(weight.requires_grad for weight in weights)
    ]


def _backbone(model: nn.Module) -> set[str]:
    classifiers = cast("Any", model).get_classifier()
    # Distilled models have two heads.
    heads = classifiers if isinstance(classifiers, tuple | list) else (classifiers,)
    kept = {id(parameter) for head in heads for parameter in head.parameters()}
    frozen = {name for name, parameter in model.named_parameters() if id(parameter) not in kept}
    if not kept:
        raise TrainerFailure(FailureCode.BAD_CONFIG, "CONFIG_JSON.freeze: this model has no classifier of its own.")
    return frozen


def _first_half(model: nn.Module) -> set[str]:
    """The first half of timm's layer groups, the stem first and the head last."""
    if not hasattr(model, "group_matcher"):
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, "CONFIG_JSON.freeze: found half, but timm does not number this model's layers."
        )
    layers: dict[int, list[str]] = group_parameters(model, cast("Any", model).group_matcher(coarse=False))
    order = sorted(layers)
    return {name for layer in order[: len(order) // 2] for name in layers[layer]}
