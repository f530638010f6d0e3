"""The trainer as the worker starts it: `python -m huggingface_trainer`, nothing imported before."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime

from conftest import Platform
from trainer_process import TrainerProcess, job_environment


def test_started_is_out_before_anything_heavy_and_two_processes_end_well(platform: Platform) -> None:
    environment = job_environment(
        platform.server.environment(),
        platform.new_id(),
        platform.scenes("image_classification", 40, 10, size=32),
        platform.server.bucket,
        FRAMEWORK="huggingface",
        MODEL_NAME="test_vit",
        EPOCHS="1",
        NUM_PROCESSES="2",
    )
    began = datetime.now().astimezone()
    trainer = TrainerProcess("huggingface_trainer", environment, platform.folder)
    assert trainer.wait() == 0, trainer.log
    assert trainer.left_behind() == []
    events = trainer.events()
    after = [(datetime.fromisoformat(event["ts"]) - began).total_seconds() for event in events]
    step = next(at for at, event in zip(after, events, strict=True) if event["type"] == "progress")
    print(f"started after {after[0]:.2f} s, first step after {step:.2f} s, all of it {after[-1]:.2f} s")
    assert events[0]["type"] == "started"
    assert events[0]["data"]["world_size"] == 2
    assert after[0] < step / 2
    assert {"torch", "transformers", "huggingface-trainer"} <= set(events[0]["data"]["versions"])


def test_the_compiler_is_there_for_who_asks_and_other_frameworks_are_not() -> None:
    code = """
import sys
from huggingface_trainer.start import prepare_framework
prepare_framework()
import huggingface_trainer.train
import transformers
transformers.RTDetrForObjectDetection, transformers.ViTForImageClassification
assert "torch._dynamo.convert_frame" not in sys.modules, "torch's compiler was loaded at start"
import torch
assert torch._dynamo.config.cache_size_limit > 0
import importlib.util
assert not [name for name in ("timm", "ultralytics") if importlib.util.find_spec(name)]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
