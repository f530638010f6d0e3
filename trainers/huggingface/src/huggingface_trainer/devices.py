"""The device of a job, and what the heartbeat tells about it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from vision_trainer.failures import FailureCode, TrainerFailure


def choose_device(requested: str, processes: int = 1, rank: int = 0) -> torch.device:
    """The device of process `rank`. Raises BAD_CONFIG when GPUs are asked for that are not there."""
    if requested == "auto":
        requested = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(requested)
    if device.type != "cuda":
        return device
    first, visible = device.index or 0, torch.cuda.device_count()
    if first + processes > visible:
        what = f"DEVICE: found {requested!r}" + (f" and NUM_PROCESSES {processes}" if processes > 1 else "")
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"{what}, but {visible} GPUs are visible.")
    return torch.device("cuda", first + rank)


def amp_dtype(device: torch.device, wanted: str) -> torch.dtype | None:
    """The type of mixed precision: none on a CPU; `auto` is bfloat16 where the GPU has it, else float16.

    Raises BAD_CONFIG for bf16 on a GPU without it.
    """
    if device.type != "cuda" or wanted == "off":
        return None
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bf16" and not has_bf16:
        raise TrainerFailure(FailureCode.BAD_CONFIG, "CONFIG_JSON.amp: found 'bf16', which this GPU does not have.")
    return torch.bfloat16 if has_bf16 and wanted != "fp16" else torch.float16


def gpu_probe(device: torch.device) -> Callable[[], tuple[int | None, float | None]]:
    """For the heartbeat: memory held on the GPU in bytes, and its utilisation in per cent where the driver tells."""

    def probe() -> tuple[int | None, float | None]:
        memory = torch.cuda.memory_reserved(device)
        try:
            return memory, float(torch.cuda.utilization(device))
        except Exception:
            return memory, None

    return probe
