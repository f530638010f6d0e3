"""Writes trainer.json: the models from model_list.py, counted by transformers, the settings from settings.py.

Run by hand after a change of either: `python -m huggingface_trainer.catalogue`. A test says when it was forgotten.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from vision_trainer.job_settings import schema_of

from .captions import CaptionTokens
from .model_list import MODELS, ModelSpec, family_of
from .models import model_class, model_config, model_input
from .settings import EvaluateSettings, ExportSettings, PredictSettings, TrainSettings
from .tasks import TASKS

TRAINER_JSON = Path(__file__).parents[2] / "trainer.json"

# What a head is counted with: the classes of the published weights.
_USUAL_CLASSES = {"image_classification": 1000, "object_detection": 91, "semantic_segmentation": 150}
_USUAL_KEYPOINTS = 17


def trainer_manifest() -> dict[str, Any]:
    """The content of trainer.json. Builds every model without memory for its weights."""
    command = ["python", "-m", "huggingface_trainer"]
    return {
        "contract_version": 1,
        "framework": "huggingface",
        "title": "Hugging Face Transformers",
        "license": "Apache-2.0",
        "image": "vision-platform-huggingface",
        "environment": {"lock": "requirements.lock", "torch": True},
        "enabled": True,
        "resources": {"gpu": "optional", "multi_gpu": True, "min_memory_mb": 3072, "shm_mb": 64},
        "kinds": {
            "train": {"command": command},
            "evaluate": {"command": command, "options": schema_of(EvaluateSettings, "Evaluation")},
            "predict": {
                "command": command,
                "options": schema_of(PredictSettings, "Prediction", without=("images",)),
            },
            "export": {"command": command, "options": schema_of(ExportSettings, "Export")},
        },
        "tasks": {task.type: {"primary_metric": task.primary_metric, "direction": "max"} for task in TASKS.values()},
        "hyperparameters": schema_of(TrainSettings, "Hugging Face training settings"),
        "models": [_model(spec) for spec in MODELS.values()],
    }


def parameter_count(spec: ModelSpec) -> int:
    """How many numbers the model learns, with the head of its published weights."""
    family = family_of(spec)
    classes = [str(number) for number in range(_USUAL_CLASSES.get(family.task_type, 0))]
    config = model_config(spec, model_input(spec, None), classes, _USUAL_KEYPOINTS, _words(spec), None)
    with torch.device("meta"):
        model = model_class(family)(config)
    return sum(parameter.numel() for parameter in model.parameters())


def _words(spec: ModelSpec) -> dict[str, int] | None:
    """The tiny model never meets a published vocabulary; the others are counted with theirs."""
    if spec.family != "blip" or spec.hub is not None:
        return None
    return CaptionTokens.from_captions(["one two three four five six seven eight nine ten"]).ids


def _model(spec: ModelSpec) -> dict[str, Any]:
    epochs, batch_size, learning_rate = spec.recommended
    entry: dict[str, Any] = {
        "name": spec.name,
        "title": spec.title,
        "tasks": [family_of(spec).task_type],
        "params_m": round(parameter_count(spec) / 1e6, 2),
        "input_size": spec.height,
        # Of the code; the licence of the weights is with the weights.
        "license": "Apache-2.0",
        "tags": list(spec.tags),
        "pretrained": spec.hub is not None,
        "recommended": {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate},
        "memory_mb": spec.memory_mb,
    }
    if spec.hub is not None:
        entry["weights"] = {"license": spec.weights_license, "source": spec.hub, "file": "model.safetensors"}
    for name, figure in (("accuracy", spec.accuracy), ("speed", spec.speed)):
        if figure is not None:
            entry[name] = dict(zip(("value", "unit", "on", "source"), figure, strict=True))
    if spec.notes is not None:
        entry["notes"] = spec.notes
    return entry


def render() -> str:
    """trainer.json as text."""
    return json.dumps(trainer_manifest(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TRAINER_JSON.write_text(render(), encoding="utf-8")
    print(f"wrote {TRAINER_JSON.name}")
