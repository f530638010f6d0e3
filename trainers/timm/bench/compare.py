"""Our trainer against timm's own loop: see sdk/tests/comparison.py. Prints one JSON line.

`python bench/compare.py [--rounds 4] [--model test_resnet] [--image-size 32] [--epochs 6] [--device cpu]`, in the
trainer's environment; needs Node for the S3 server of the tests.
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
sys.path[:0] = [str(_FOLDER / "tests"), str(_FOLDER.parent / "sdk" / "tests")]

from comparison import compare  # noqa: E402
from conftest import digit_pictures  # noqa: E402
from dataset_writer import write_dataset  # noqa: E402
from real_services import S3Server, s3_server  # noqa: E402
from trainer_process import TrainerProcess, job_environment  # noqa: E402
from vision_trainer.converters import write_image_folder  # noqa: E402
from vision_trainer.dataset import open_dataset  # noqa: E402

_TIMEOUT_S = 600


def main() -> None:
    """Measures and prints."""
    options = _options()
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name) / "s3") as server:
        folder = Path(name)
        uri = f"s3://{server.bucket}/datasets/1/v1/"
        pictures = digit_pictures(options.image_size)
        write_dataset(server.storage(), uri, [str(digit) for digit in range(10)], pictures)
        reader = open_dataset(server.storage(), uri, folder / "cache")
        images = write_image_folder(reader, folder / "images")
        found = compare(
            f"{options.model} on digits at {options.image_size} px",
            "val/top1",
            options.rounds,
            options.device,
            lambda seed: _run_ours(options, server, uri, folder, seed),
            lambda seed: _run_reference(options, images, seed),
        )
    print(found)


def _run_ours(options: argparse.Namespace, server: S3Server, uri: str, folder: Path, seed: int) -> dict[str, Any]:
    environment = job_environment(
        server.environment(),
        seed,
        uri,
        server.bucket,
        CACHE_DIR=str(folder / "cache"),
        MODEL_NAME=options.model,
        EPOCHS=str(options.epochs),
        BATCH_SIZE=str(options.batch_size),
        LEARNING_RATE=str(options.lr),
        SEED=str(seed),
        DEVICE=options.device,
        CONFIG_JSON=json.dumps({"image_size": options.image_size, "num_workers": options.workers}),
    )
    began = datetime.now().astimezone()
    trainer = TrainerProcess("timm_trainer", environment, folder)
    if trainer.wait(_TIMEOUT_S) != 0:
        raise RuntimeError(trainer.log)
    epochs = [data for data in trainer.events_of("metrics") if data["scope"] == "epoch" and data["split"] == "train"]
    # The first look comes with the first step.
    first = next(event for event in trainer.events() if event["type"] == "progress")
    return {
        "samples_per_s": [round(data["values"]["perf/samples_per_s"], 1) for data in epochs],
        "final": trainer.events_of("succeeded")[0]["metrics"]["val/top1"],
        "first_step_s": round((datetime.fromisoformat(first["ts"]) - began).total_seconds(), 2),
    }


def _run_reference(options: argparse.Namespace, images: Path, seed: int) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("reference_loop.py")), str(images), "--seed", str(seed)]
    for name in ("model", "image_size", "epochs", "batch_size", "lr", "workers", "device"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--model", default="test_resnet")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
