"""Writes trainer.json from settings.py: `python -m stub_trainer.catalogue`. A test says when it was forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .settings import DerivedSettings, StubSettings

TRAINER_JSON = Path(__file__).parents[2] / "trainer.json"
_COMMAND = ["python", "-m", "stub_trainer"]


def trainer_manifest() -> dict[str, Any]:
    """The content of trainer.json."""
    options = schema_of(DerivedSettings, "What to do it on")
    # The platform puts the addresses of uploaded images in; users do not write them.
    options["properties"].pop("images")
    return {
        "contract_version": 1,
        "framework": "stub",
        "title": "Stub",
        "license": "Apache-2.0",
        "image": "vision-platform-stub",
        "environment": {"lock": "requirements.lock"},
        "enabled": False,
        "listed": False,
        "notice": "Trains nothing: it does what a script says. For tests of the platform and for authors of trainers.",
        "resources": {"gpu": "none", "multi_gpu": False, "min_memory_mb": 64, "shm_mb": 0},
        "kinds": {
            "train": {"command": _COMMAND},
            **{kind: {"command": _COMMAND, "options": options} for kind in ("evaluate", "predict", "export")},
        },
        "tasks": {"image_classification": {"primary_metric": "val/top1", "direction": "max"}},
        "hyperparameters": schema_of(StubSettings, "The script"),
        "models": [
            {
                "name": "walk",
                "title": "Random walk",
                "tasks": ["image_classification"],
                "params_m": 0.0,
                "input_size": 1,
                "license": "Apache-2.0",
                "tags": ["stub"],
                "pretrained": False,
                "recommended": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01},
                "memory_mb": 64,
            }
        ],
    }


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a settings class, with a title instead of the class's name."""
    schema = model.model_json_schema()
    schema.pop("description", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def render() -> str:
    """trainer.json as text."""
    return json.dumps(trainer_manifest(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TRAINER_JSON.write_text(render(), encoding="utf-8")
    print(f"wrote {TRAINER_JSON}")
