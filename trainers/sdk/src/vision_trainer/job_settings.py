"""CONFIG_JSON: settings as pydantic models, their JSON Schema for trainer.json, and the words that refuse them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .environment import TrainerEnvironment
from .failures import FailureCode, TrainerFailure

_LONGEST_MESSAGE = 2000
_LONGEST_VALUE = 200


Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(kind: type[Settings], config: Mapping[str, Any]) -> Settings:
    """Checks CONFIG_JSON against the settings of a job kind. Raises BAD_CONFIG that names each bad setting."""
    try:
        return kind.model_validate(config, strict=True)
    except ValidationError as error:
        lines = [
            f"CONFIG_JSON.{'.'.join(map(str, problem['loc']))}: found {repr(problem['input'])[:_LONGEST_VALUE]}, "
            f"{problem['msg']}."
            for problem in error.errors()
        ]
        raise TrainerFailure(FailureCode.BAD_CONFIG, " ".join(lines)[:_LONGEST_MESSAGE]) from None


def schema_of(kind: type[BaseModel], title: str, without: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON Schema (2020-12) of CONFIG_JSON, one field a setting: "a number or nothing" is one list of types."""
    schema = kind.model_json_schema()
    schema.pop("description", None)
    properties = {
        name: _flatten(definition) for name, definition in schema["properties"].items() if name not in without
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": title,
        "properties": properties,
    }


def _flatten(definition: dict[str, Any]) -> dict[str, Any]:
    alternatives = definition.pop("anyOf", None)
    if alternatives is None:
        return definition
    some = next(option for option in alternatives if option["type"] != "null")
    return {**definition, **some, "type": [some["type"], "null"]}


def run_identity(env: TrainerEnvironment, config: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that decides the result: two runs in which it is equal may continue each other's checkpoints.

    `config` are the settings in effect, without those that change how fast or where a job runs.
    """
    return {
        "framework": env.framework,
        "task_type": env.task_type,
        "model_name": env.model_name,
        "dataset_id": env.dataset_id,
        "dataset_version": env.dataset_version,
        "epochs": env.epochs,
        "batch_size": env.batch_size,
        "learning_rate": env.learning_rate,
        "seed": env.seed,
        "config": dict(config),
    }
