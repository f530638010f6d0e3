"""Nobody but the trainer itself can read its secrets, not even a child process that looks into /proc."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from trainer_process import job_environment

LINUX = sys.platform == "linux"

# Reads the trainer's environment, then lets a child look for secrets in /proc/<parent>/environ and in its own.
SCRIPT = """
import os, subprocess, sys
from vision_trainer.environment import TrainerEnvironment
env = TrainerEnvironment.from_environ()
assert env.storage.secret_access_key == "the-secret-key"
look = "import os,sys; sys.stdout.write(open(f'/proc/{os.getppid()}/environ').read() + repr(dict(os.environ)))"
sys.stdout.write(subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout)
"""
STORAGE = {
    "STORAGE_TYPE": "minio",
    "STORAGE_BUCKET": "bucket",
    "S3_ENDPOINT": "http://127.0.0.1:9000",
    "S3_ACCESS_KEY_ID": "the-key-id",
    "S3_SECRET_ACCESS_KEY": "the-secret-key",
}
OTHERS = {
    "CALLBACK_TOKEN": "the-token",
    "EVENTS_REDIS_URL": "redis://someone:the-password@h:1/0",
    "AWS_SESSION_TOKEN": "the-session",
    "MINIO_SECRET_KEY": "the-minio-key",
    "HF_TOKEN": "not-ours-to-hide",
}


@pytest.mark.skipif(not LINUX, reason="other systems do not show it")
def test_a_child_finds_no_secret_in_proc() -> None:
    environment = job_environment(STORAGE, 1, "s3://bucket/d/", "bucket", **OTHERS)
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    for secret in ("the-secret-key", "the-key-id", "the-token", "the-password", "the-session", "the-minio-key"):
        assert secret not in done.stdout
    # The rest is as it was: names stay, other values are whole.
    for shown in ("S3_SECRET_ACCESS_KEY=", "HF_TOKEN=not-ours-to-hide", "MODEL_NAME=test_resnet"):
        assert shown in done.stdout


@pytest.mark.skipif(not LINUX, reason="other systems do not show it")
def test_a_refused_environment_is_wiped_too(tmp_path: Path) -> None:
    script = SCRIPT.replace("env = TrainerEnvironment.from_environ()", "import vision_trainer.run as run").replace(
        'assert env.storage.secret_access_key == "the-secret-key"',
        'assert run.run_trainer(lambda job: None, kinds=("train",)) == 2',
    )
    environment = job_environment(STORAGE, 1, "s3://bucket/d/", "bucket", **OTHERS, EPOCHS="none")
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "the-secret-key" not in done.stdout + done.stderr
    assert "HF_TOKEN=not-ours-to-hide" in done.stdout


@pytest.mark.skipif(not LINUX, reason="Linux's prctl")
def test_memory_can_be_hidden_from_other_processes() -> None:
    script = """
import ctypes, sys
from vision_trainer.initial_environment import hide_memory
assert hide_memory()
sys.exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_core_needs_neither_numpy_nor_pillow() -> None:
    script = """
import sys
sys.modules["numpy"] = sys.modules["PIL"] = None
import vision_trainer.run, vision_trainer.dataset, vision_trainer.resume, vision_trainer.checkpoints
import vision_trainer.model_source, vision_trainer.nvml, vision_trainer.cpu_limits
import vision_trainer.images, vision_trainer.masks, vision_trainer.samples, vision_trainer.reports
import vision_trainer.converters, vision_trainer.drawing
assert "boto3" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
