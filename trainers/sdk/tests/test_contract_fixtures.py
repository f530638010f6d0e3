"""The corpus in shared-contracts/fixtures, read by zod and JSON Schema there and by Pydantic here: one verdict."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from vision_trainer import contracts

FIXTURES = Path(__file__).parents[3] / "shared-contracts" / "fixtures"


def _cases(kind: str) -> list[Any]:
    cases = []
    for path in sorted(FIXTURES.glob("*.json")):
        corpus = json.loads(path.read_text(encoding="utf-8"))
        cases += [
            pytest.param(corpus["schema"], case["value"], id=f"{path.stem}: {case['name']}") for case in corpus[kind]
        ]
    return cases


def _validate(schema: str, value: object) -> None:
    model: type[BaseModel] = getattr(contracts, schema)
    model.model_validate_json(json.dumps(value), strict=True)


@pytest.mark.parametrize(("schema", "value"), _cases("valid"))
def test_accepts(schema: str, value: object) -> None:
    _validate(schema, value)


@pytest.mark.parametrize(("schema", "value"), _cases("invalid"))
def test_refuses(schema: str, value: object) -> None:
    with pytest.raises(ValidationError):
        _validate(schema, value)
