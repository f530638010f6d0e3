# SPDX-License-Identifier: AGPL-3.0-only
"""What the user sets is what the framework's optimizer and loss get; nothing is fetched, and nothing lies about."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Datasets, Jobs


def test_learning_rate_weight_decay_and_batch_arrive(jobs: Jobs, datasets: Datasets) -> None:
    job_id = jobs.new_id()
    config = {
        "optimizer": "SGD",
        "momentum": 0.8,
        "weight_decay": 0.037,
        "final_lr_ratio": 0.5,
        "warmup_epochs": 0,
        "grad_accumulation": 3,
    }
    changes = {"EPOCHS": "4", "BATCH_SIZE": "2", "LEARNING_RATE": "0.00123", "CONFIG_JSON": json.dumps(config)}
    trainer = jobs.start("object_detection", datasets.overfit("object_detection"), job_id, **changes)
    assert trainer.wait() == 0, trainer.log
    history = jobs.read_json(job_id, "artifacts/history.json")
    # The framework's linear schedule: 1 at the start, the final share at the end.
    expected = [0.00123 * ((1 - epoch / 4) * 0.5 + 0.5) for epoch in range(4)]
    assert [row["train/lr"] for row in history] == pytest.approx(expected, rel=1e-9)
    told = " ".join(event["message"] for event in trainer.events_of("log"))
    assert "SGD lr 0.00123, momentum 0.8, weight decay 0.037, batch 2 x 3" in told
    started = trainer.events_of("started")[0]
    assert started["effective_batch_size"] == 6
    # Eight images in groups of three batches of two: two updates an epoch.
    assert jobs.read_json(job_id, "env.json")["steps_per_epoch"] == 2
    assert jobs.read_json(job_id, "config.json")["effective_batch_size"] == 6


def test_two_processes_that_import_everything_themselves_leave_nothing_outside(
    jobs: Jobs, datasets: Datasets, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    trainer = jobs.start_cold(
        "instance_segmentation",
        datasets.overfit("instance_segmentation"),
        HOME=str(home),
        EPOCHS="1",
        NUM_PROCESSES="2",
    )
    assert trainer.wait() == 0, trainer.log
    assert trainer.events_of("started")[0]["world_size"] == 2
    assert trainer.left_behind() == []
    assert list(home.rglob("*")) == []


_WITHOUT_NETWORK = """
import sys, tempfile
from pathlib import Path
from ultralytics_trainer.start import load_framework
work = Path(tempfile.mkdtemp())
load_framework(work)
from digit_scenes import make_scenes, write_canonical
from vision_trainer.dataset import DatasetReader, _read_samples
from vision_trainer.contracts import DatasetManifest
same = make_scenes("object_detection", 4, 5, 64, digits=(0, 1))
write_canonical(work / "d", "object_detection", {"train": same, "val": same}, digits=(0, 1))
manifest = DatasetManifest.model_validate_json((work / "d/MANIFEST.json").read_bytes())
shards = {shard.name: work / "d" / shard.name for shard in manifest.shards}
reader = DatasetReader(manifest, list(_read_samples(work / "d/samples.jsonl.gz", manifest, set(shards))), shards)
from ultralytics_trainer.framework_trainers import TRAINERS, Setup
from ultralytics_trainer.learner import Learner
from ultralytics_trainer.measures import validate
from ultralytics_trainer.models import MODELS, build_module
from ultralytics_trainer.presets import common_arguments
from ultralytics_trainer.yolo_data import write_data
model = MODELS["test_yolo11"]
data = write_data(reader, "object_detection", work / "y")
arguments = common_arguments(model, size=64, batch_size=2, device="cpu", save_dir=work / "run")
# amp is on: the framework would fetch a model to try it with.
arguments |= {"mode": "train", "epochs": 1, "amp": True, "optimizer": "SGD", "pretrained": False}
trainer = TRAINERS["object_detection"](Setup(data, lambda: build_module(model, 2), 0, 1, 0), arguments)
trainer.prepare()
learner = Learner(trainer, None, ema_decay=0.9, clip_grad=10.0)
trainer.epoch = 0
trainer._model_train()
trainer.train_loader.start(0, 0)
for batch in trainer.train_loader:
    learner.update([batch])
assert validate(trainer)["val/loss"]
assert "requests" not in sys.modules and "ultralytics_platform" not in sys.modules
print("trained without a network")
"""


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="cutting the network needs root")
def test_trains_with_the_network_cut() -> None:
    folders = [str(Path(__file__).parents[2] / "sdk/tests"), str(Path(__file__).parents[3] / "deploy/demo")]
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", _WITHOUT_NETWORK],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(folders)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare failed" in done.stderr:
        pytest.skip("this machine does not let its processes leave the network")
    assert "trained without a network" in done.stdout, done.stderr[-3000:]


def test_neither_timm_nor_transformers_is_here() -> None:
    import importlib.util

    for name in ("timm", "transformers", "mmengine", "paddle"):
        assert importlib.util.find_spec(name) is None
