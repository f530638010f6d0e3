"""Contract models as JSON that the other side accepts: an optional field that has no value is left out, not null."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import BaseModel, RootModel


def to_contract_json(model: BaseModel, indent: int | None = None) -> str:
    """The model as JSON. Required fields stay, null or not; non-finite numbers are null, as in events."""
    return json.dumps(_plain(model), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, RootModel):
        return _plain(value.root)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {name: getattr(value, name) for name in fields}
        kept = {name: item for name, item in given.items() if item is not None or fields[name].is_required()}
        return _plain(kept | (value.model_extra or {}))
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
