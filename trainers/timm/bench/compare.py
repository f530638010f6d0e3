"""Our trainer against timm's own loop: same model, images, settings, machine; A-B-A-B. Prints one JSON line.

`python bench/compare.py [--rounds 3] [--model test_resnet] [--image-size 32] [--epochs 6] [--device cpu]`, in the
trainer's environment; needs Node for the S3 server of the tests.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[1]
sys.path[:0] = [str(_FOLDER / "tests"), str(_FOLDER.parent / "sdk" / "tests")]

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
        ours, theirs = [], []
        for seed in range(1, options.rounds + 1):
            ours.append(_run_ours(options, server, uri, folder, seed))
            theirs.append(_run_reference(options, images, seed))
    found = {
        "what": f"{options.model} on digits at {options.image_size} px, {options.device}",
        "metric": "val/top1",
        "ours": _summary(ours),
        "reference": _summary(theirs),
        "ratio": _ratio(ours, theirs),
    }
    print(json.dumps(found))


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
        "top1": trainer.events_of("succeeded")[0]["metrics"]["val/top1"],
        "first_step_s": round((datetime.fromisoformat(first["ts"]) - began).total_seconds(), 2),
    }


def _run_reference(options: argparse.Namespace, images: Path, seed: int) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("reference_loop.py")), str(images), "--seed", str(seed)]
    for name in ("model", "image_size", "epochs", "batch_size", "lr", "workers", "device"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of all epochs but each run's first, and what the runs ended with."""
    return {
        "samples_per_s": round(_rate(runs), 1),
        "final": [round(run["top1"], 4) for run in runs],
        "first_step_s": round(statistics.median(run["first_step_s"] for run in runs), 2),
        "runs": runs,
    }


def _rate(runs: list[dict[str, Any]]) -> float:
    return statistics.median(rate for run in runs for rate in run["samples_per_s"][1:])


def _ratio(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> float:
    return round(_rate(ours) / _rate(theirs), 3)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="test_resnet")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
