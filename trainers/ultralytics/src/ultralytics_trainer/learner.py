# SPDX-License-Identifier: AGPL-3.0-only
"""One update of the weights: forward and backward over a group of batches, clipping, the optimizer, the average."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from ultralytics.utils.torch_utils import autocast
from vision_trainer.events import EventPublisher

from .framework_errors import is_gpu_out_of_memory
from .team import Team

_OUT_OF_MEMORY_TRIES = 3
# What a batch holds once an object, everything else it holds once an image.
_PER_OBJECT = ("cls", "bboxes", "keypoints", "batch_idx")
Losses = dict[str, Tensor]


class Learner:
    """The framework's model and optimizer, stepped by us, together with the other processes of the team."""

    def __init__(
        self,
        trainer: Any,
        events: EventPublisher | None,
        *,
        ema_decay: float,
        clip_grad: float | None,
        team: Team | None = None,
    ) -> None:
        self.trainer = trainer
        self.parts = 1
        self._events = events
        self._clip_grad = clip_grad
        self._team = team or Team()
        self._tries_left = _OUT_OF_MEMORY_TRIES
        # A mean loss has to be weighed by the share of the images; the others are sums over them already.
        self._mean_loss = trainer.args.task == "classify"
        # The framework's ramp with the user's end: short trainings are not averaged to death.
        trainer.ema.decay = lambda updates: ema_decay * (1 - math.exp(-updates / 2000))

    @property
    def evaluated_model(self) -> Any:
        """The weights that are validated and kept: the averaged ones."""
        return self.trainer.ema.ema

    @property
    def rate(self) -> float:
        """The weights' learning rate in the newest update, which a checkpoint keeps."""
        rates = [x["lr"] for x in self.trainer.optimizer.param_groups if x.get("param_group") != "bias"]
        return float(rates[-1])

    def set_rates(self, epoch: int, update: int, updates_per_epoch: int) -> None:
        """Sets learning rates and momentum of the coming update.

        The framework's schedule (engine/trainer.py `_do_train`): falls epoch by epoch, rises linearly in the warm-up.
        """
        trainer = self.trainer
        args = trainer.args
        warmup = round(min(args.warmup_epochs, max(trainer.epochs - 1, 0)) * updates_per_epoch)
        factor = trainer.lf(epoch)
        for group in trainer.optimizer.param_groups:
            target = group["initial_lr"] * factor
            warming = update <= warmup and warmup > 0
            start = args.warmup_bias_lr if group.get("param_group") == "bias" else 0.0
            group["lr"] = float(np.interp(update, [0, warmup], [start, target])) if warming else target
            if "momentum" in group:
                low = args.warmup_momentum if warming else args.momentum
                group["momentum"] = float(np.interp(update, [0, max(warmup, 1)], [low, args.momentum]))

    def update(self, group: list[dict[str, Any]]) -> tuple[Losses, int]:
        """One optimizer step on a group of batches, of which this process has its share.

        Returns sums over the images of all processes, on the device, and their number. When the GPU's memory is full,
        each batch is taken in twice as many parts, three times at most; then the framework's error is raised.
        """
        while True:
            try:
                losses = self._backward(group)
                break
            except Exception as error:
                largest = max(len(batch["img"]) for batch in group)
                if not is_gpu_out_of_memory(error) or self._tries_left == 0 or self.parts >= largest:
                    raise
            # Outside of the except block, whose traceback would keep the failed forward pass in memory.
            self._tries_left -= 1
            self.parts *= 2
            self.trainer.optimizer.zero_grad()
            torch.cuda.empty_cache()
            part = -(-largest // self.parts)
            if self._events is not None:
                self._events.warning(
                    "oom_retry",
                    f"The GPU's memory was full; going on in parts of {part} images with the same batch size.",
                )
        self._step()
        images = sum(len(batch["img"]) for batch in group) * self._team.world
        return self._team.sum_losses(losses), images

    def _step(self) -> None:
        trainer = self.trainer
        self._team.sum_gradients(trainer.model.parameters())
        trainer.scaler.unscale_(trainer.optimizer)
        if self._clip_grad is not None:
            torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), max_norm=self._clip_grad)
        trainer.scaler.step(trainer.optimizer)
        trainer.scaler.update()
        trainer.optimizer.zero_grad()
        trainer.ema.update(trainer.model)

    def _backward(self, group: list[dict[str, Any]]) -> Losses:
        """Adds the gradients of all batches. Returns sums over the images of the loss and of its parts, detached."""
        trainer = self.trainer
        images = sum(len(batch["img"]) for batch in group) * self._team.world
        losses: Losses = {}
        precision = torch.bfloat16 if trainer.args.amp == "bf16" else trainer.amp
        for part in (part for batch in group for part in split_batch(batch, self.parts)):
            count = len(part["img"])
            with autocast(precision, device=trainer.device.type):
                loss, items = trainer.model(trainer.preprocess_batch(dict(part)))
                loss = loss.sum()
            # The validator sums the losses of these names.
            trainer.loss_items = items
            trainer.scaler.scale(loss * (count / images) if self._mean_loss else loss).backward()
            per_image = loss.detach() if self._mean_loss else loss.detach() / count
            if not self._mean_loss:
                # The class loss of finite numbers is above zero. The assigner of boxes hides a network that has gone
                # astray behind a loss of exactly nothing.
                per_image = torch.where(per_image == 0, math.nan, per_image)
            parts = {name: value for name, value in items.items() if name != "loss"}
            for name, value in {"loss": per_image, **parts}.items():
                added = value.detach().double() * count
                losses[name] = losses[name] + added if name in losses else added
        return losses

    def end_epoch(self) -> None:
        """After the last update of an epoch: the criterion's own schedule, the averaged model's attributes."""
        trainer = self.trainer
        criterion: Any = getattr(trainer.model, "criterion", None)
        if hasattr(criterion, "update"):
            criterion.update()
        include = ["yaml", "nc", "args", "names", "stride", "class_weights"]
        trainer.ema.update_attr(trainer.model, include=include)


def split_batch(batch: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    """The batch in `parts` of about equal numbers of images, each with its own objects."""
    if parts == 1:
        return [batch]
    count = len(batch["img"])
    size = -(-count // parts)
    return [_slice(batch, start, min(count, start + size)) for start in range(0, count, size)]


def _slice(batch: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    owners = batch.get("batch_idx")
    mine = None if owners is None else (owners >= start) & (owners < stop)
    part: dict[str, Any] = {}
    for name, value in batch.items():
        if mine is not None and name in _PER_OBJECT:
            part[name] = value[mine] - start if name == "batch_idx" else value[mine]
        else:
            part[name] = value[start:stop]
    return part


def gpu_probe(device: torch.device) -> Callable[[], tuple[int | None, float | None]]:
    """For the heartbeat: memory held on the GPU in bytes, and its utilisation in per cent where the driver tells."""

    def probe() -> tuple[int | None, float | None]:
        memory = torch.cuda.memory_reserved(device)
        try:
            return memory, float(torch.cuda.utilization(device))
        except Exception:
            return memory, None

    return probe
