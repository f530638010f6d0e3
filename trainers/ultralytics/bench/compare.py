# SPDX-License-Identifier: AGPL-3.0-only
"""Our trainer against plain `yolo train`: see sdk/tests/comparison.py. Prints one JSON line.

`python bench/compare.py [--rounds 4] [--epochs 24] [--model test_yolo11] [--device cpu]`, in the trainer's environment;
needs Node for the S3 server of the tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[1]
_BESIDE = _FOLDER.parents[1]
sys.path[:0] = [str(_FOLDER.parent / "sdk" / "tests"), str(_BESIDE / "deploy" / "demo")]

from comparison import compare  # noqa: E402
from dataset_writer import upload_dataset  # noqa: E402
from digit_scenes import make_splits, write_canonical  # noqa: E402
from real_services import S3Server, s3_server  # noqa: E402
from trainer_process import TrainerProcess, job_environment  # noqa: E402
from vision_trainer.converters import write_yolo  # noqa: E402
from vision_trainer.dataset import open_dataset  # noqa: E402

_TIMEOUT_S = 900
_TASK = "object_detection"
_CONFIG = {
    "augmentation": "light",
    "close_mosaic": 0,
    "final_lr_ratio": 0.1,
    "warmup_epochs": 0.5,
    "num_workers": 0,
}


def main() -> None:
    """Measures and prints."""
    options = _options()
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name) / "s3") as server:
        folder = Path(name)
        splits = make_splits(_TASK, {"train": options.images, "val": options.images // 4}, 1, options.image_size)
        write_canonical(folder / "canonical", _TASK, splits)
        uri = f"s3://{server.bucket}/datasets/1/v1/"
        upload_dataset(server.storage(), uri, folder / "canonical")
        reader = open_dataset(server.storage(), uri, folder / "cache")
        data, yaml = write_yolo(reader, folder / "yolo"), _model_yaml(folder, options.model)
        found = compare(
            f"{options.model} on {options.images} digit scenes",
            "val/mAP50_95",
            options.rounds,
            options.device,
            lambda seed: _run_ours(options, server, uri, folder, seed),
            lambda seed: _run_reference(options, data, yaml, seed),
        )
    print(found)


def _model_yaml(folder: Path, name: str) -> Path:
    """The model's description as a file, because `YOLO()` takes nothing else."""
    from ultralytics_trainer import offline
    from ultralytics_trainer.models import MODELS, model_config

    offline.prepare(folder / "own")
    path = folder / f"{name}n.yaml"
    path.write_text(json.dumps(model_config(MODELS[name])))
    return path


def _run_ours(options: argparse.Namespace, server: S3Server, uri: str, folder: Path, seed: int) -> dict[str, Any]:
    environment = job_environment(
        server.environment(),
        seed,
        uri,
        server.bucket,
        CACHE_DIR=str(folder / "cache"),
        FRAMEWORK="ultralytics",
        TASK_TYPE=_TASK,
        MODEL_NAME=options.model,
        EPOCHS=str(options.epochs),
        BATCH_SIZE=str(options.batch_size),
        LEARNING_RATE=str(options.lr),
        SEED=str(seed),
        DEVICE=options.device,
        CONFIG_JSON=json.dumps({**_CONFIG, "image_size": options.image_size}),
    )
    began = datetime.now().astimezone()
    trainer = TrainerProcess("ultralytics_trainer", environment, folder)
    if trainer.wait(_TIMEOUT_S) != 0:
        raise RuntimeError(trainer.log)
    epochs = [data for data in trainer.events_of("metrics") if data["scope"] == "epoch" and data["split"] == "train"]
    # The first look comes with the first step.
    first = next(event for event in trainer.events() if event["type"] == "progress")
    return {
        "samples_per_s": [round(data["values"]["perf/samples_per_s"], 1) for data in epochs],
        "final": trainer.events_of("succeeded")[0]["metrics"]["val/mAP50_95"],
        "first_step_s": round((datetime.fromisoformat(first["ts"]) - began).total_seconds(), 2),
    }


def _run_reference(options: argparse.Namespace, data: Path, yaml: Path, seed: int) -> dict[str, Any]:
    script = Path(__file__).with_name("reference_train.py")
    command = [sys.executable, str(script), str(data), "--model-yaml", str(yaml), "--seed", str(seed)]
    for name in ("epochs", "batch_size", "image_size", "lr", "device"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--model", default="test_yolo11")
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
