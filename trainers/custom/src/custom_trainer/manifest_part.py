"""What the parts of a manifest share: the base of every part, and texts with a meaning."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from . import patterns


def _pattern(text: str) -> str:
    """A regular expression of the RE2 language: no look-around, no back references, linear time."""
    try:
        patterns.compiled(text)
    except patterns.PatternError as error:
        raise ValueError(f"is no RE2 expression: {error}") from error
    return text


def _inside(text: str) -> str:
    """A relative path that stays where it is."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError("must be a relative path without '..'")
    return text


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_pattern)]
InnerPath = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_inside)]
Template = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
MetricName = Annotated[str, StringConstraints(pattern=r"^(train|val|test|perf)/[A-Za-z0-9_]{1,60}$")]


class Part(BaseModel):
    """Refuses keys it does not know, so that a misspelt one is an error and not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)
