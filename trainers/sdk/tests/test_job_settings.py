"""CONFIG_JSON against settings: what is wrong is named, and the JSON Schema says the same."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.job_settings import read_settings, schema_of


class _Settings(BaseModel):
    """Not for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Annotated[int | None, Field(ge=32, le=64, title="Size", json_schema_extra={"x-unit": "px"})] = None
    images: list[str] = []


def test_every_problem_is_named_and_a_long_value_is_cut() -> None:
    assert read_settings(_Settings, {"size": 40}).size == 40
    with pytest.raises(TrainerFailure) as failure:
        read_settings(_Settings, {"size": "9" * 5000, "lr": 1})
    assert failure.value.code is FailureCode.BAD_CONFIG
    assert "CONFIG_JSON.size: found '999" in failure.value.message
    assert "CONFIG_JSON.lr: found 1, Extra inputs" in failure.value.message
    assert len(failure.value.message) < 600


def test_a_number_or_nothing_is_one_field_of_a_form() -> None:
    schema = schema_of(_Settings, "Settings", without=("images",))
    assert schema["title"] == "Settings"
    assert schema["additionalProperties"] is False
    assert schema["properties"] == {
        "size": {
            "type": ["integer", "null"],
            "minimum": 32,
            "maximum": 64,
            "default": None,
            "title": "Size",
            "x-unit": "px",
        }
    }
    assert "description" not in schema
