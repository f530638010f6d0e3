"""One update of the weights: forward and backward in parts, clipping, the optimizer, the averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional
from vision_trainer.events import EventPublisher

from .framework_errors import is_gpu_out_of_memory
from .freezing import freeze
from .inference import Normaliser, amp_dtype, precision
from .loader import Batch
from .model import ModelInput
from .optimizer import make_optimizer
from .settings import TimmSettings
from .team import Team

_OUT_OF_MEMORY_TRIES = 3


class Learner:
    """The model and everything that changes with it.

    `class_weights` (one per class, 1 on average over the training images) multiply the images' losses.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: TimmSettings,
        shape: ModelInput,
        device: torch.device,
        peak_lr: float,
        events: EventPublisher | None,
        *,
        team: Team | None = None,
        class_weights: list[float] | None = None,
    ) -> None:
        self.device = device
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self._at_rest = freeze(self.model, settings.freeze)
        self.set_training()
        self.ema = ModelEmaV3(self.model, decay=settings.ema_decay, use_warmup=True) if settings.ema_decay > 0 else None
        self.optimizer = make_optimizer(self.model, settings, peak_lr)
        self._trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self._amp_dtype = amp_dtype(device) if settings.amp else None
        # bfloat16 has the range of float32; only float16 gradients need scaling.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._amp_dtype is torch.float16)
        self._settings = settings
        self._events = events
        self._team = team or Team()
        self._class_weights = None if class_weights is None else torch.tensor(class_weights, device=device)
        self.parts = settings.grad_accumulation
        self._tries_left = _OUT_OF_MEMORY_TRIES
        self.normalise = Normaliser(shape, device)

    @property
    def evaluated_model(self) -> nn.Module:
        """The weights that are validated and kept: the averaged ones where averaging is on."""
        averaged: nn.Module = self.ema.module if self.ema is not None else self.model
        return averaged

    def set_training(self) -> None:
        """Training mode, except for the frozen layers: their batch statistics do not move either."""
        self.model.train()
        for module in self._at_rest:
            module.eval()

    def forbid_retries(self) -> None:
        """From now on a full GPU memory is an error at once."""
        self._tries_left = 0

    def precision(self) -> AbstractContextManager[object]:
        """Mixed precision on a GPU, nothing on a CPU."""
        return precision(self.device, self._amp_dtype)

    def update(self, batch: Batch, lr: float, update: int) -> Tensor:
        """One optimizer step on the batch of all processes. Returns its mean loss on the device (no synchronisation).

        When the GPU's memory is full, the batch is taken in twice as many parts, three times at most; then the
        framework's error is raised.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss = self._team.sum(self._backward_with_retries(batch))
        self._team.sum_gradients(self._trained)
        if self._settings.clip_grad is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self._trained, self._settings.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(self.model, step=update)
        return loss

    def _backward_with_retries(self, batch: Batch) -> Tensor:
        while True:
            try:
                return self._backward(batch)
            except Exception as error:
                if not is_gpu_out_of_memory(error) or self._tries_left == 0 or self.parts >= len(batch.labels):
                    raise
            # Outside of the except block, whose traceback would keep the failed forward pass in memory.
            self._tries_left -= 1
            self.parts *= 2
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            part = -(-len(batch.labels) // self.parts)
            if self._events is not None:
                self._events.warning(
                    "oom_retry",
                    f"The GPU's memory was full; going on in parts of {part} images with the same batch size.",
                )

    def _backward(self, batch: Batch) -> Tensor:
        """Adds this process's share of the gradients of the mean loss. Returns its share of that loss, detached."""
        total = torch.zeros((), device=self.device)
        partners = batch.labels.flip(0)
        chunks = zip(
            batch.images.chunk(self.parts), batch.labels.chunk(self.parts), partners.chunk(self.parts), strict=True
        )
        for images, labels, others in chunks:
            targets = labels.to(self.device, non_blocking=True)
            with self.precision():
                logits = self.model(self.normalise(images))
                loss = self._loss(logits, targets)
                if batch.share < 1.0:
                    mixed_in = self._loss(logits, others.to(self.device, non_blocking=True))
                    loss = loss * batch.share + mixed_in * (1.0 - batch.share)
            share = loss / batch.total
            self.scaler.scale(share).backward()  # type: ignore[no-untyped-call]
            total += share.detach()
        return total

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum of the images' losses."""
        return functional.cross_entropy(
            logits,
            targets,
            weight=self._class_weights,
            label_smoothing=self._settings.label_smoothing,
            reduction="sum",
        )


def balanced_weights(labels: list[int], num_classes: int) -> list[float]:
    """Inverse class frequencies, scaled so that the mean over the images is 1; 0 for a class without images."""
    counts = [labels.count(number) for number in range(num_classes)]
    present = sum(count > 0 for count in counts)
    return [len(labels) / (present * count) if count else 0.0 for count in counts]


def gpu_probe(device: torch.device) -> Callable[[], tuple[int | None, float | None]]:
    """For the heartbeat: memory held on the GPU in bytes, and its utilisation in per cent where the driver tells."""

    def probe() -> tuple[int | None, float | None]:
        memory = torch.cuda.memory_reserved(device)
        try:
            return memory, float(torch.cuda.utilization(device))
        except Exception:
            return memory, None

    return probe
