"""One update of the weights: forward and backward in parts, clipping, the optimizer, the averaged weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from vision_trainer.events import EventPublisher

from .devices import amp_dtype
from .ema import AveragedModel
from .examples import Batch
from .framework_errors import is_gpu_out_of_memory
from .measuring import Preparation
from .optimizer import make_optimizer
from .settings import TrainSettings
from .tasks.task import Task
from .team import Team

_OUT_OF_MEMORY_TRIES = 3


class Learner:
    """The model and everything that changes with it."""

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        settings: TrainSettings,
        team: Team,
        device: torch.device,
        peak_lr: float,
        backbone: tuple[str, ...],
        events: EventPublisher | None,
        retries: int = _OUT_OF_MEMORY_TRIES,
    ) -> None:
        self.device = device
        self.model = model.to(device)
        self.task = task
        if settings.freeze == "backbone":
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(not name.startswith(backbone))
        self.model.train()
        self.ema = AveragedModel(self.model, settings.ema_decay) if settings.ema_decay > 0 else None
        self.optimizer = make_optimizer(self.model, settings, peak_lr, backbone)
        self._amp_dtype = amp_dtype(device, settings.amp)
        # bfloat16 has the range of float32; only float16 gradients need scaling.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._amp_dtype is torch.float16)
        self._settings = settings
        self._events = events
        self._team = team
        self.parts = settings.grad_accumulation
        self._tries_left = retries
        self.preparation = Preparation(task, device)

    @property
    def evaluated_model(self) -> nn.Module:
        """The weights that are validated and kept: the averaged ones where averaging is on."""
        return self.ema.module if self.ema is not None else self.model

    def precision(self) -> AbstractContextManager[object]:
        """Mixed precision on a GPU, nothing on a CPU."""
        if self._amp_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self._amp_dtype)

    def update(self, batch: Batch, total: int, lr: float, update: int) -> Tensor:
        """One optimizer step on this process's share of a batch of `total` examples.

        Returns the whole batch's mean loss as a tensor on the device (no synchronisation).
        When the GPU's memory is full, the batch is taken in twice as many parts, three times at most; then the
        framework's error is raised.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        loss = self._team.sum_gradients(self.model, self._backward_with_retries(batch, total))
        if self._settings.clip_grad is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._team.share_buffers(self.model)
        if self.ema is not None:
            self.ema.update(self.model, update)
        return loss

    def _backward_with_retries(self, batch: Batch, total: int) -> Tensor:
        while True:
            try:
                return self._backward(batch, total)
            except Exception as error:
                if not is_gpu_out_of_memory(error) or self._tries_left == 0 or self.parts >= len(batch):
                    raise
            # Outside of the except block, whose traceback would keep the failed forward pass in memory.
            self._tries_left -= 1
            self.parts *= 2
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            part = -(-len(batch) // self.parts)
            if self._events is not None:
                self._events.warning(
                    "oom_retry",
                    f"The GPU's memory was full; going on in parts of {part} images with the same batch size.",
                )

    def _backward(self, batch: Batch, total: int) -> Tensor:
        """Adds the gradients of the batch's share in the mean loss over `total` examples. Returns it, detached."""
        summed = torch.zeros((), device=self.device)
        for part in batch.parts(self.parts):
            with self.precision():
                loss = self.task.loss(self.model, self.preparation.inputs(part), self.preparation.targets(part))
            share = loss.float() * (len(part) / total)
            self.scaler.scale(share).backward()  # type: ignore[no-untyped-call]
            summed += share.detach()
        return summed
