"""Reads torch's exceptions: which of them a person can do something about."""

from __future__ import annotations

import sys

from vision_trainer.failures import FailureCode, TrainerFailure


def is_gpu_out_of_memory(error: BaseException) -> bool:
    """Whether this is CUDA saying that its memory is full."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.cuda.OutOfMemoryError)


def translate(error: BaseException) -> TrainerFailure | None:
    """The failure a framework exception stands for, or None for one that has no better name."""
    if is_gpu_out_of_memory(error):
        return TrainerFailure(
            FailureCode.GPU_OUT_OF_MEMORY,
            "The GPU's memory is full, also with the smallest part of a batch. Lower batch_size or image_size.",
        )
    if isinstance(error, MemoryError):
        return TrainerFailure(
            FailureCode.FRAMEWORK_ERROR, "The machine's memory is full. Lower batch_size or image_size."
        )
    return None
