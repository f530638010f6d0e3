"""GPU memory and utilisation straight from NVIDIA's driver library, for trainers whose framework does not tell."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .heartbeat import GpuProbe


class _Utilisation(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def nvml_probe(devices: Sequence[int] = (0,)) -> GpuProbe | None:
    """A probe for Heartbeat.gpu_probe over these CUDA devices, or None where there is no NVIDIA driver or no such GPU.

    Numbers are CUDA's, so CUDA_VISIBLE_DEVICES is followed. It gives the memory in use on the devices together, all
    processes counted, and the mean of their utilisation in per cent.
    """
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if library.nvmlInit_v2() != 0:
            return None
        handles = [_handle(library, device) for device in devices]
    except (OSError, AttributeError, LookupError, ValueError):
        return None

    def probe() -> tuple[int | None, float | None]:
        used, busy = 0, 0
        for handle in handles:
            memory, utilisation = _Memory(), _Utilisation()
            if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != 0:
                return None, None
            used += memory.used
            if library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(utilisation)) != 0:
                return used, None
            busy += utilisation.gpu
        return used, busy / len(handles)

    return probe


def _handle(library: ctypes.CDLL, device: int) -> ctypes.c_void_p:
    """The driver's handle of a CUDA device. Raises LookupError when there is none."""
    handle = ctypes.c_void_p()
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[device] if visible else str(device)
    if name.isdigit():
        status = library.nvmlDeviceGetHandleByIndex_v2(int(name), ctypes.byref(handle))
    else:
        status = library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle))
    if status != 0:
        raise LookupError(f"NVML does not know GPU {name}")
    return handle
