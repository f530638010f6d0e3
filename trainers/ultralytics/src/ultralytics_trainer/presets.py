# SPDX-License-Identifier: AGPL-3.0-only
"""From the platform's settings to the framework's arguments; every one that matters is said, none is left to `auto`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vision_trainer.contracts import DatasetSample
from vision_trainer.environment import TrainerEnvironment
from vision_trainer.failures import FailureCode, TrainerFailure

from .models import TASKS, YoloModel
from .settings import UltralyticsSettings

# standard is the framework's own recipe (its default.yaml), without mirror images.
_BOX_PRESETS: dict[str, dict[str, float]] = {
    "none": {"mosaic": 0.0, "translate": 0.0, "scale": 0.0, "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0},
    "light": {"mosaic": 0.0, "translate": 0.05, "scale": 0.2, "hsv_h": 0.01, "hsv_s": 0.3, "hsv_v": 0.2},
    "standard": {"mosaic": 1.0, "translate": 0.1, "scale": 0.5, "hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4},
}
_CLASS_PRESETS: dict[str, dict[str, Any]] = {
    "none": {"scale": 0.0, "auto_augment": None, "erasing": 0.0, "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0},
    "light": {"scale": 0.2, "auto_augment": None, "erasing": 0.0, "hsv_h": 0.01, "hsv_s": 0.2, "hsv_v": 0.2},
    "standard": {
        "scale": 0.5,
        "auto_augment": "randaugment",
        "erasing": 0.4,
        "hsv_h": 0.015,
        "hsv_s": 0.7,
        "hsv_v": 0.4,
    },
}
_STRIDE = 32


def image_size(settings: UltralyticsSettings, model: YoloModel, samples: list[DatasetSample]) -> int:
    """Side in pixels, a multiple of 32: as set, else the model's, or the largest image's where that is smaller."""
    wanted = settings.image_size
    if wanted is None:
        largest = max(max(sample.width, sample.height) for sample in samples)
        wanted = min(model.input_size, largest)
    return max(_STRIDE, -(-wanted // _STRIDE) * _STRIDE)


def fits_in_memory(samples: list[DatasetSample], size: int, copies: int, *, classify: bool) -> bool:
    """Whether the decoded images take at most a quarter of the free memory, and at most 8 GiB, one copy a process.

    The framework keeps images scaled to the image size, for classification as they are.
    """
    import psutil

    scales = [1.0 if classify else size / max(sample.width, sample.height) for sample in samples]
    pixels = sum(sample.width * sample.height * scale**2 for sample, scale in zip(samples, scales, strict=True))
    return bool(pixels * 3 * copies <= min(psutil.virtual_memory().available / 4, 8 << 30))


def framework_arguments(
    env: TrainerEnvironment,
    settings: UltralyticsSettings,
    model: YoloModel,
    *,
    size: int,
    batch_size: int,
    device: str,
    save_dir: Path,
    samples: list[DatasetSample],
) -> dict[str, Any]:
    """The framework's arguments of a training. Raises BAD_CONFIG for settings that do not fit the task."""
    classify = model.task == "image_classification"
    if (env.learning_rate or 0.0) > 1.0:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"LEARNING_RATE: found {env.learning_rate:g}, expected at most 1, the most this framework takes.",
        )
    augmentation = dict((_CLASS_PRESETS if classify else _BOX_PRESETS)[settings.augmentation])
    if settings.mosaic is not None and not classify:
        augmentation["mosaic"] = settings.mosaic
    cached = settings.cache_images and fits_in_memory(samples, size, env.num_processes, classify=classify)
    return {
        **common_arguments(model, size=size, batch_size=batch_size, device=device, save_dir=save_dir),
        **augmentation,
        "mode": "train",
        "cache": "ram" if cached else False,
        "epochs": env.epochs,
        "patience": 0,
        # One word for "find it": anything below one is a share of the GPU's memory.
        "batch": 0.6 if settings.auto_batch and device != "cpu" else batch_size,
        "optimizer": settings.optimizer,
        "lr0": env.learning_rate,
        "lrf": settings.final_lr_ratio,
        "cos_lr": settings.schedule == "cosine",
        "momentum": settings.momentum,
        "weight_decay": settings.weight_decay,
        "warmup_epochs": settings.warmup_epochs,
        "warmup_momentum": settings.warmup_momentum,
        "warmup_bias_lr": settings.warmup_bias_lr,
        "seed": env.seed % 2**32,
        "deterministic": True,
        "pretrained": False,
        "amp": settings.amp and device != "cpu" and (_precision()),
        "freeze": settings.freeze or None,
        "dropout": settings.dropout,
        "cls_pw": settings.class_weights,
        "close_mosaic": settings.close_mosaic,
        "mixup": settings.mixup,
        "multi_scale": settings.multi_scale,
        "degrees": settings.rotation,
        "fliplr": settings.horizontal_flip,
        "flipud": settings.vertical_flip,
        "box": settings.box_gain,
        "cls": settings.class_gain,
        "dfl": settings.distance_gain,
        "pose": settings.pose_gain,
        "max_det": settings.max_detections,
        "iou": settings.nms_iou,
    }


def common_arguments(model: YoloModel, *, size: int, batch_size: int, device: str, save_dir: Path) -> dict[str, Any]:
    """What every use of the framework is told: where, how large, and nothing drawn, saved or fetched."""
    return {
        "task": TASKS[model.task],
        "model": model.description,
        "data": "",
        "imgsz": size,
        "batch": batch_size,
        "device": device,
        "workers": 0,
        "cache": False,
        "save_dir": str(save_dir),
        "exist_ok": True,
        "plots": False,
        "save": False,
        "verbose": False,
        "single_cls": False,
    }


def _precision() -> bool | str:
    """bfloat16 has the range of float32 and needs neither scaling nor a check; float16 where it is missing."""
    import torch

    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False) else True
