"""What training, evaluation and prediction share: the way from pixels to the model's input, and the precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from .model import ModelInput


class Normaliser:
    """uint8 NHWC on the CPU → normalised float NCHW (channels-last in memory) on the device."""

    def __init__(self, shape: ModelInput, device: torch.device) -> None:
        self._device = device
        self._mean = (torch.tensor(shape.mean, device=device) * 255).reshape(1, 3, 1, 1)
        self._std = (torch.tensor(shape.std, device=device) * 255).reshape(1, 3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Batch x height x width x 3 → batch x 3 x height x width."""
        moved = images.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        return moved.float().sub_(self._mean).div_(self._std)


def amp_dtype(device: torch.device) -> torch.dtype | None:
    """The half precision of this device: bfloat16 where the GPU has it, float16 on older ones, none on a CPU."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def precision(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Mixed precision where there is a half precision, nothing otherwise."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)
