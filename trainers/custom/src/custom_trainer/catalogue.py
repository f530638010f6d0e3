"""Writes trainer.json from the settings and the ready manifests.

Run by hand after a change of either: `python -m custom_trainer.catalogue`. A test says when it was forgotten.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .manifest import Manifest
from .manifest_file import load_ready, ready_manifests
from .settings import (
    ANY_REPOSITORY,
    EvaluateOptions,
    ExportOptions,
    PredictOptions,
    RepositorySettings,
    TrainSettings,
)

TRAINER_JSON = Path(__file__).parents[2] / "trainer.json"

# One metric decides for a whole task, whichever repository is trained.
_TASKS = {
    "image_classification": ("val/top1", "max"),
    "object_detection": ("val/mAP50_95", "max"),
    "instance_segmentation": ("val/mAP50_95_mask", "max"),
    "semantic_segmentation": ("val/mIoU", "max"),
    "pose_estimation": ("val/mAP50_95_pose", "max"),
    "image_captioning": ("val/bleu4", "max"),
}
_COMMAND = ["python", "-m", "custom_trainer"]


def trainer_manifest() -> dict[str, Any]:
    """The content of trainer.json."""
    return {
        "contract_version": 1,
        "framework": "custom",
        "title": "Custom (any git repository)",
        "license": "Apache-2.0",
        "image": "vision-platform-custom",
        "environment": {"lock": "requirements.lock", "system_packages": ["git"]},
        "enabled": False,
        "notice": "Runs the code of git repositories, walled in, but foreign: whoever may start its jobs may run code "
        "on the workers. Each repository has a licence of its own, shown with its model.",
        "resources": {"gpu": "optional", "multi_gpu": True, "min_memory_mb": 1024, "shm_mb": 1024},
        "kinds": {
            "train": {"command": _COMMAND},
            "evaluate": {"command": _COMMAND, "options": _schema(EvaluateOptions, "Evaluation")},
            "predict": {"command": _COMMAND, "options": _schema(PredictOptions, "Prediction", without=("images",))},
            "export": {"command": _COMMAND, "options": _schema(ExportOptions, "Export")},
        },
        "tasks": {task: {"primary_metric": name, "direction": way} for task, (name, way) in _TASKS.items()},
        "hyperparameters": _schema(TrainSettings, "Training"),
        "models": [_any_repository(), *(_ready(name, load_ready(name).manifest) for name in ready_manifests())],
    }


def _any_repository() -> dict[str, Any]:
    own = _schema(RepositorySettings, "Repository")
    common = TrainSettings.model_fields
    return {
        "name": ANY_REPOSITORY,
        "title": "Any git repository with a manifest",
        "tasks": list(_TASKS),
        "params_m": 0,
        "input_size": 1,
        "license": "the repository's own",
        "tags": ["repository"],
        "pretrained": False,
        "hyperparameters": {
            "type": "object",
            "properties": {name: field for name, field in own["properties"].items() if name not in common},
            "required": ["git_url", "commit"],
        },
        "notes": "The repository holds vision-trainer.yaml, which says how it is installed, trained and read.",
    }


def _ready(name: str, manifest: Manifest) -> dict[str, Any]:
    """A ready manifest's entry. Raises ValueError where it lacks its catalogue part."""
    shown = manifest.catalogue
    if shown is None or manifest.name != name:
        raise ValueError(f"manifests/{name}/manifest.yaml needs `catalogue`, and the name of its folder")
    optional = {
        "weights": shown.weights and shown.weights.model_dump(),
        "accuracy": shown.accuracy and shown.accuracy.model_dump(),
        "recommended": shown.recommended and shown.recommended.model_dump(),
        "memory_mb": shown.memory_mb,
        "notes": " ".join(text for text in (shown.notes, manifest.license.notice) if text) or None,
    }
    entry = {
        "name": name,
        "title": shown.title,
        "tasks": list(manifest.tasks),
        "params_m": shown.params_m,
        "input_size": shown.input_size,
        "license": manifest.license.spdx,
        "tags": shown.tags,
        "pretrained": shown.weights is not None,
        "hyperparameters": {
            "type": "object",
            "properties": {key: parameter.json_schema() for key, parameter in manifest.parameters.items()},
        },
    }
    if manifest.license.acknowledge:
        # Refused before the queue, and the form asks for it.
        field = _schema(TrainSettings, "")["properties"]["accept_license"]
        entry["hyperparameters"]["properties"]["accept_license"] = {**field, "const": True}  # type: ignore[index]
        entry["hyperparameters"]["required"] = ["accept_license"]  # type: ignore[index]
    return entry | {key: value for key, value in optional.items() if value is not None}


def _schema(model: type[BaseModel], title: str, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a settings class: one field a setting, "not set" by leaving it out."""
    schema = model.model_json_schema()
    properties = {name: _flat(field) for name, field in schema.get("properties", {}).items() if name not in without}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _flat(field: dict[str, Any]) -> dict[str, Any]:
    alternatives = field.pop("anyOf", None)
    if field.get("default", 0) is None:
        del field["default"]
    if alternatives is None:
        return field
    chosen = next(option for option in alternatives if option["type"] != "null")
    return {**field, **chosen}


def render() -> str:
    """trainer.json as text."""
    return json.dumps(trainer_manifest(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TRAINER_JSON.write_text(render(), encoding="utf-8")
    print(f"wrote {TRAINER_JSON}")
