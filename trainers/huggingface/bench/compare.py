"""Our trainer against transformers' own Trainer: see sdk/tests/comparison.py. Prints one JSON line.

`python bench/compare.py [--rounds 4] [--model test_vit] [--epochs 30] [--device cpu]`, in the trainer's environment;
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
sys.path[:0] = [str(_FOLDER.parent / "sdk" / "tests"), str(_FOLDER.parents[1] / "deploy" / "demo")]

from comparison import compare  # noqa: E402
from dataset_writer import upload_dataset  # noqa: E402
from digit_scenes import make_splits, write_canonical  # noqa: E402
from real_services import S3Server, s3_server  # noqa: E402
from trainer_process import TrainerProcess, job_environment  # noqa: E402

from huggingface_trainer.model_list import MODELS, family_of  # noqa: E402

_TIMEOUT_S = 900


def main() -> None:
    """Measures and prints."""
    options = _options()
    spec = MODELS[options.model]
    task = family_of(spec).task_type
    metric = json.loads((_FOLDER / "trainer.json").read_text())["tasks"][task]["primary_metric"]
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name) / "s3") as server:
        folder = Path(name)
        data = folder / "dataset"
        counts = {"train": options.images, "val": max(16, options.images // 5)}
        write_canonical(data, task, make_splits(task, counts, seed=1, size=spec.height))
        uri = f"s3://{server.bucket}/datasets/1/v1/"
        upload_dataset(server.storage(), uri, data)
        found = compare(
            f"{options.model} on {options.images} digit scenes",
            metric,
            options.rounds,
            options.device,
            lambda seed: _run_ours(options, task, metric, server, uri, folder, seed),
            lambda seed: _run_reference(options, data, seed),
        )
    print(found)


def _run_ours(
    options: argparse.Namespace, task: str, metric: str, server: S3Server, uri: str, folder: Path, seed: int
) -> dict[str, Any]:
    # The settings that Trainer has too, with its values.
    config = {"augmentation": "none", "min_lr_ratio": 0.0, "clip_grad": 1.0, "weight_decay": 0.01, "num_workers": 0}
    environment = job_environment(
        server.environment(),
        seed,
        uri,
        server.bucket,
        CACHE_DIR=str(folder / "cache"),
        FRAMEWORK="huggingface",
        TASK_TYPE=task,
        MODEL_NAME=options.model,
        EPOCHS=str(options.epochs),
        BATCH_SIZE=str(options.batch_size),
        LEARNING_RATE=str(options.lr),
        SEED=str(seed),
        DEVICE=options.device,
        CONFIG_JSON=json.dumps(config),
    )
    began = datetime.now().astimezone()
    trainer = TrainerProcess("huggingface_trainer", environment, folder)
    if trainer.wait(_TIMEOUT_S) != 0:
        raise RuntimeError(trainer.log)
    epochs = [data for data in trainer.events_of("metrics") if data["scope"] == "epoch" and data["split"] == "train"]
    # The first look comes with the first step.
    first = next(event for event in trainer.events() if event["type"] == "progress")
    values = trainer.events_of("succeeded")[0]["metrics"]
    return {
        "samples_per_s": [round(data["values"]["perf/samples_per_s"], 1) for data in epochs],
        "final": values[metric],
        "first_step_s": (datetime.fromisoformat(first["ts"]) - began).total_seconds(),
    }


def _run_reference(options: argparse.Namespace, data: Path, seed: int) -> dict[str, Any]:
    script = str(Path(__file__).with_name("reference_trainer.py"))
    words = (data, options.model, options.epochs, options.batch_size, options.lr, seed)
    command = [sys.executable, script, *(str(word) for word in words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--model", default="test_vit")
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
