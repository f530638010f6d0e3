"""timm's own way to train, rebuilt from its documentation and train.py, to measure our trainer against.

create_loader, create_optimizer_v2, create_scheduler_v2, ModelEmaV3 and a plain torch loop on an image folder
(`<data>/train/<class>/*`, `<data>/val/<class>/*`). No platform, no checkpoints, no events. Prints one JSON line:
samples/s of every epoch's training part, the last top-1, seconds from the process's start to the end of the first step.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import create_dataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import nn


def main() -> None:
    """Trains and prints."""
    options = _options()
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    training = create_dataset("", root=str(options.data / "train"), is_training=True)
    validation = create_dataset("", root=str(options.data / "val"))
    model = timm.create_model(options.model, num_classes=len(training.reader.class_to_idx))
    model = model.to(device, memory_format=torch.channels_last)
    cfg = timm.get_pretrained_cfg(options.model)
    common: dict[str, Any] = {
        "input_size": (3, options.image_size, options.image_size),
        "interpolation": "bilinear",
        "mean": cfg.mean,
        "std": cfg.std,
        "num_workers": options.workers,
        "use_prefetcher": device.type == "cuda",
        "device": device,
        "persistent_workers": options.workers > 0,
    }
    train_loader = create_loader(
        training,
        batch_size=options.batch_size,
        is_training=True,
        scale=(0.8, 1.0),
        ratio=(0.9, 1.1),
        hflip=0.0,
        color_jitter=None,
        **common,
    )
    val_loader = create_loader(validation, batch_size=64, is_training=False, crop_pct=1.0, **common)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=options.lr, weight_decay=0.05)
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=options.epochs,
        min_lr=options.lr * 0.01,
        warmup_lr=options.lr * 0.01,
        warmup_epochs=0,
        step_on_epochs=False,
        updates_per_epoch=len(train_loader),
    )
    averaged = ModelEmaV3(model, decay=0.999, use_warmup=True)
    criterion = LabelSmoothingCrossEntropy(0.1).to(device)
    amp = torch.bfloat16 if device.type == "cuda" else None
    rates, first_step_s, update = [], 0.0, 0
    for _ in range(options.epochs):
        model.train()
        started, seen = time.monotonic(), 0
        for images, targets in train_loader:
            inputs = images.to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
                loss = criterion(model(inputs), targets.to(device))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            averaged.update(model, step=update)
            update += 1
            scheduler.step_update(num_updates=update)
            seen += len(targets)
            if not first_step_s:
                loss.item()
                first_step_s = _seconds_since_start()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rates.append(round(seen / (time.monotonic() - started), 1))
        top1 = _top1(averaged.module, val_loader, device)
    print(json.dumps({"samples_per_s": rates, "final": top1, "first_step_s": round(first_step_s, 2)}))


@torch.inference_mode()
def _top1(model: nn.Module, loader: Any, device: torch.device) -> float:
    model.eval()
    right, count = 0, 0
    for images, targets in loader:
        said = model(images.to(device, memory_format=torch.channels_last)).argmax(dim=1)
        right += int((said == targets.to(device)).sum())
        count += len(targets)
    return right / count


def _seconds_since_start() -> float:
    """Since this process began, imports included (Linux)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="test_resnet")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
