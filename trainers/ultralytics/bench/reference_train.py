# SPDX-License-Identifier: AGPL-3.0-only
"""Plain `yolo train` as its documentation has it, to measure our trainer against. Prints one JSON line.

`python bench/reference_train.py <data.yaml> --model-yaml <file> …`: samples/s of every epoch's training part, the final
mAP50-95, seconds from the process's start to the end of the first step. No platform, no events.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Trains and prints."""
    began = time.time()
    options = _options()
    home = options.data.parent / f"reference-{options.seed}"
    home.mkdir(exist_ok=True)
    os.environ.update(
        YOLO_OFFLINE="true",
        YOLO_AUTOINSTALL="false",
        YOLO_CONFIG_DIR=str(home),
        MPLCONFIGDIR=str(home),
        MPLBACKEND="agg",
    )
    times: dict[str, Any] = {"first": None, "epoch": 0.0, "rates": []}

    def step(trainer: Any) -> None:
        times["first"] = times["first"] or time.time()

    def epoch_start(trainer: Any) -> None:
        times["epoch"] = time.perf_counter()

    def epoch_end(trainer: Any) -> None:
        times["rates"].append(len(trainer.train_loader.dataset) / (time.perf_counter() - times["epoch"]))

    with contextlib.redirect_stdout(sys.stderr):
        from ultralytics import YOLO, settings

        settings.update({"sync": False})
        model = YOLO(str(options.model_yaml))
        for name, callback in (
            ("on_train_batch_end", step),
            ("on_train_epoch_start", epoch_start),
            ("on_train_epoch_end", epoch_end),
        ):
            model.add_callback(name, callback)
        metrics = model.train(
            data=str(options.data),
            epochs=options.epochs,
            batch=options.batch_size,
            imgsz=options.image_size,
            device=options.device,
            optimizer="AdamW",
            lr0=options.lr,
            lrf=0.1,
            momentum=0.9,
            warmup_epochs=0.5,
            warmup_bias_lr=0.0,
            nbs=options.batch_size,
            weight_decay=0.0005,
            seed=options.seed,
            project=str(home),
            pretrained=False,
            plots=False,
            workers=0,
            patience=0,
            close_mosaic=0,
            **PRESET,
        )
    found = {
        "samples_per_s": [round(rate, 1) for rate in times["rates"]],
        "final": float(metrics.box.map),
        "first_step_s": round((times["first"] or began) - _process_start(), 2),
    }
    print(json.dumps(found))


# The platform's preset `light`.
PRESET = {"mosaic": 0.0, "translate": 0.05, "scale": 0.2, "hsv_h": 0.01, "hsv_s": 0.3, "hsv_v": 0.2, "fliplr": 0.0}


def _process_start() -> float:
    """When this process began, in seconds since 1970."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model-yaml", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
