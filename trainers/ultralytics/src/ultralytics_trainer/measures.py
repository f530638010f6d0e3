# SPDX-License-Identifier: AGPL-3.0-only
"""The framework's figures under the contract's names, not rounded."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .models import TASKS

PRIMARY = {
    "object_detection": "val/mAP50_95",
    "instance_segmentation": "val/mAP50_95_mask",
    "pose_estimation": "val/mAP50_95_pose",
    "image_classification": "val/top1",
}
_BASES = {
    "mAP50": "mAP50",
    "mAP50-95": "mAP50_95",
    "accuracy_top1": "top1",
    "accuracy_top5": "top5",
}
_SUFFIXES = {"B": "", "M": "_mask", "P": "_pose"}


def contract_name(name: str) -> str | None:
    """`metrics/mAP50-95(M)` → `val/mAP50_95_mask`; None for a figure the contract has no name for."""
    base, _, kind = name.removeprefix("metrics/").rstrip(")").partition("(")
    known = _BASES.get(base)
    return f"val/{known}{_SUFFIXES.get(kind, '')}" if known else None


def loss_part(name: str) -> str:
    """`box_loss` → `loss_box`."""
    return "loss_" + name.removesuffix("_loss")


def validate(trainer: Any) -> dict[str, float | None]:
    """Runs the trainer's validator on the averaged weights: the figures of the split, and val/loss.

    The framework returns them rounded to five digits; these are the numbers before that.
    """
    if not hasattr(trainer, "loss_items"):
        trainer.loss_items = _loss_names(trainer)
    trainer.validator(trainer)
    return figures_of(trainer.validator)


def _loss_names(trainer: Any) -> dict[str, Tensor]:
    """The parts of the loss, asked of the model with one image: before the first step nobody else knows them."""
    batch = next(iter(trainer.test_loader))
    # The framework's loader is one endless iteration.
    trainer.test_loader.reset()
    with torch.no_grad():
        _, items = trainer.ema.ema.eval().loss(trainer.preprocess_batch(batch))
    return {name: torch.zeros_like(value) for name, value in items.items()}


def figures_of(validator: Any) -> dict[str, float | None]:
    """The figures of a validator that has just run."""
    figures: dict[str, float | None] = {}
    for name, value in validator.metrics.results_dict.items():
        known = contract_name(name)
        if known is not None:
            figures[known] = finite(float(value))
    losses = getattr(validator, "loss", None) or {}
    batches = len(validator.dataloader)
    parts = {name: float(value) / batches for name, value in losses.items()}
    if parts:
        figures["val/loss"] = finite(math.fsum(parts.values()))
    return figures


def finite(value: float) -> float | None:
    """None for a number that JSON has no word for."""
    return value if math.isfinite(value) else None


def tasks() -> dict[str, dict[str, str]]:
    """The `tasks` of trainer.json."""
    return {task: {"primary_metric": PRIMARY[task], "direction": "max"} for task in TASKS}
