"""One update of the weights: forward and backward in parts, clipping, the optimizer, the averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional
from vision_trainer.events import EventPublisher

from .framework_errors import is_gpu_out_of_memory
from .model import ModelInput
from .optimizer import make_optimizer
from .settings import TimmSettings

_OUT_OF_MEMORY_TRIES = 3


class Learner:
    """The model and everything that changes with it. Images come as batch x height x width x 3, uint8."""

    def __init__(
        self,
        model: nn.Module,
        settings: TimmSettings,
        shape: ModelInput,
        device: torch.device,
        peak_lr: float,
        events: EventPublisher,
    ) -> None:
        self.device = device
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.model.train()
        self.ema = ModelEmaV3(self.model, decay=settings.ema_decay, use_warmup=True) if settings.ema_decay > 0 else None
        self.optimizer = make_optimizer(self.model, settings, peak_lr)
        self._amp_dtype = _amp_dtype(device) if settings.amp else None
        # bfloat16 has the range of float32; only float16 gradients need scaling.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._amp_dtype is torch.float16)
        self._settings = settings
        self._events = events
        self.parts = settings.grad_accumulation
        self._tries_left = _OUT_OF_MEMORY_TRIES
        self._mean = (torch.tensor(shape.mean, device=device) * 255).reshape(1, 3, 1, 1)
        self._std = (torch.tensor(shape.std, device=device) * 255).reshape(1, 3, 1, 1)

    @property
    def evaluated_model(self) -> nn.Module:
        """The weights that are validated and kept: the averaged ones where averaging is on."""
        averaged: nn.Module = self.ema.module if self.ema is not None else self.model
        return averaged

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 NHWC on the CPU → normalised float NCHW (channels-last in memory) on the device."""
        moved = images.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return moved.float().sub_(self._mean).div_(self._std)

    def precision(self) -> AbstractContextManager[object]:
        """Mixed precision on a GPU, nothing on a CPU."""
        if self._amp_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self._amp_dtype)

    def update(self, images: Tensor, labels: Tensor, lr: float, update: int) -> Tensor:
        """One optimizer step on the whole batch. Returns its mean loss as a tensor on the device (no synchronisation).

        When the GPU's memory is full, the batch is taken in twice as many parts, three times at most; then the
        framework's error is raised.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss = self._backward_with_retries(images, labels)
        if self._settings.clip_grad is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(self.model, step=update)
        return loss

    def _backward_with_retries(self, images: Tensor, labels: Tensor) -> Tensor:
        while True:
            try:
                return self._backward(images, labels)
            except Exception as error:
                if not is_gpu_out_of_memory(error) or self._tries_left == 0 or self.parts >= len(labels):
                    raise
            # Outside of the except block, whose traceback would keep the failed forward pass in memory.
            self._tries_left -= 1
            self.parts *= 2
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            part = -(-len(labels) // self.parts)
            self._events.warning(
                "oom_retry", f"The GPU's memory was full; going on in parts of {part} images with the same batch size."
            )

    def _backward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Adds the gradients of the mean loss over the batch. Returns that loss, detached."""
        total = torch.zeros((), device=self.device)
        for some_images, some_labels in zip(images.chunk(self.parts), labels.chunk(self.parts), strict=True):
            targets = some_labels.to(self.device, non_blocking=True)
            with self.precision():
                logits = self.model(self.normalise(some_images))
                loss = functional.cross_entropy(logits, targets, label_smoothing=self._settings.label_smoothing)
            share = loss * (len(some_labels) / len(labels))
            self.scaler.scale(share).backward()  # type: ignore[no-untyped-call]
            total += share.detach()
        return total


def gpu_probe(device: torch.device) -> Callable[[], tuple[int | None, float | None]]:
    """For the heartbeat: memory held on the GPU in bytes, and its utilisation in per cent where the driver tells."""

    def probe() -> tuple[int | None, float | None]:
        memory = torch.cuda.memory_reserved(device)
        try:
            return memory, float(torch.cuda.utilization(device))
        except Exception:
            return memory, None

    return probe


def _amp_dtype(device: torch.device) -> torch.dtype | None:
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
