"""Runs a model over a split and says what it is worth: the same code in training, in an evaluation and in an export."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .examples import Batch
from .models import ModelInput
from .tasks.task import Arrays, Outcome, Task


class Preparation:
    """Turns a batch of uint8 pictures into the model's inputs on its device."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self._task = task
        self._device = device
        self._mean, self._std = (_per_channel(values, device) for values in _statistics(task.data.shape))

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """pixel_values: batch x 3 x height x width, normalised; pixel_mask for models that are padded."""
        moved = batch.images.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        inputs = {"pixel_values": moved.float().sub_(self._mean).div_(self._std).contiguous()}
        mask = self._task.pixel_mask(batch.views)
        if mask is not None:
            inputs["pixel_mask"] = mask.to(self._device, non_blocking=True)
        return inputs

    def targets(self, batch: Batch) -> dict[str, Any]:
        """The targets on the device."""
        return {name: _moved(value, self._device) for name, value in batch.targets.items()}


@torch.inference_mode()
def measure(
    model: nn.Module,
    task: Task,
    batches: Iterable[Batch],
    preparation: Preparation,
    stop_requested: Callable[[], bool],
    precision: Callable[[], AbstractContextManager[object]] = nullcontext,
    *,
    with_loss: bool = True,
) -> list[Outcome] | None:
    """Runs the model in evaluation mode over all batches.

    Returns None when a stop was asked for meanwhile: a large split must not use up the grace time.
    """
    was_training = model.training
    model.eval()
    found: list[Outcome] = []
    try:
        for batch in batches:
            if stop_requested():
                return None
            inputs = preparation.inputs(batch)
            with precision():
                if with_loss:
                    loss, raw = task.measure(model, inputs, preparation.targets(batch))
                else:
                    loss, raw = None, task.infer(model, inputs)
            outcomes = task.outcomes(as_arrays(raw), batch.examples, batch.views)
            if with_loss:
                task.judge(outcomes, batch.targets)
            for outcome in outcomes:
                outcome.loss = None if loss is None else loss.item()
            found += outcomes
    finally:
        model.train(was_training)
    return found


def as_arrays(raw: dict[str, Tensor]) -> Arrays:
    """Numpy arrays on the CPU."""
    return {name: np.asarray(value.detach().cpu().numpy()) for name, value in raw.items()}


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, list):
        return [_moved(item, device) for item in value]
    if isinstance(value, dict):
        return {name: _moved(item, device) for name, item in value.items()}
    return value


def _statistics(shape: ModelInput) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return shape.mean, shape.std


def _per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    return (torch.tensor(values, device=device) * 255).reshape(1, 3, 1, 1)
