# SPDX-License-Identifier: AGPL-3.0-only
"""Writes trainer.json: models from models.py and published.py, settings from settings.py.

Run by hand after a change of any: `python -m ultralytics_trainer.catalogue`. A test says when it was forgotten.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from vision_trainer.job_settings import schema_of

from . import offline
from .measures import tasks
from .memory_estimate import training_memory_mb
from .models import MODELS, YoloModel, build_module
from .published import PUBLISHED
from .settings import EvaluateOptions, ExportOptions, PredictOptions, UltralyticsSettings

TRAINER_JSON = Path(__file__).parents[2] / "trainer.json"
_LICENSE = "AGPL-3.0-only"
_NOTICE = (
    "The ultralytics package and this trainer are "
    "AGPL-3.0. Who lets others use a modified version over a network owes them its source, and the publisher counts "
    "trained weights as covered too. Commercial use without these duties needs the publisher's Enterprise licence."
)
_COCO_CLASSES, _COCO_POINTS = 80, 17
_TINY_NOTE = "Very small: for trying things out, also without a GPU."


def trainer_manifest() -> dict[str, Any]:
    """The content of trainer.json. Builds every model once."""
    command = ["python", "-m", "ultralytics_trainer"]
    return {
        "contract_version": 1,
        "framework": "ultralytics",
        "title": "Ultralytics YOLO",
        "license": _LICENSE,
        "image": "vision-platform-ultralytics",
        "environment": {"lock": "requirements.lock", "torch": True},
        "enabled": False,
        "notice": _NOTICE,
        "resources": {"gpu": "optional", "multi_gpu": True, "min_memory_mb": 3072, "shm_mb": 1024},
        "kinds": {
            "train": {"command": command},
            "evaluate": {"command": command, "options": schema_of(EvaluateOptions, "Evaluation")},
            "predict": {
                "command": command,
                "options": schema_of(PredictOptions, "Prediction", without=("images",)),
            },
            "export": {"command": command, "options": schema_of(ExportOptions, "Export")},
        },
        "tasks": tasks(),
        "hyperparameters": schema_of(UltralyticsSettings, "Ultralytics training settings"),
        "models": [_listed(name, model) for name, model in MODELS.items()],
    }


def _listed(name: str, model: YoloModel) -> dict[str, Any]:
    classes = 1000 if model.task == "image_classification" else 1 if model.task == "pose_estimation" else _COCO_CLASSES
    network = build_module(model, classes, _COCO_POINTS)
    published = PUBLISHED.get(name)
    entry: dict[str, Any] = {
        "name": name,
        "title": model.title,
        "tasks": [model.task],
        "params_m": round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 2),
        "input_size": model.input_size,
        "license": _LICENSE,
        "tags": list(model.tags),
        "pretrained": published is not None,
    }
    batch_size = published.batch_size if published else 4
    memory_mb = training_memory_mb(model, classes, _COCO_POINTS, batch_size)
    if published is None:
        return {
            **entry,
            "recommended": {"epochs": 40, "batch_size": batch_size, "learning_rate": 0.003},
            "memory_mb": memory_mb,
            "notes": _TINY_NOTE,
        }
    return {
        **entry,
        "weights": {"license": _LICENSE, "source": published.weights, "file": f"{name}.pt"},
        "accuracy": published.accuracy,
        "speed": published.speed,
        "recommended": {"epochs": 100, "batch_size": batch_size, "learning_rate": 0.001},
        "memory_mb": memory_mb,
    }


def render() -> str:
    """trainer.json as text."""
    with tempfile.TemporaryDirectory() as folder:
        offline.prepare(Path(folder))

        offline.tame(Path(folder))
        return json.dumps(trainer_manifest(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TRAINER_JSON.write_text(render(), encoding="utf-8")
    print(f"wrote {TRAINER_JSON.name}")
