"""The settings of a repository: a small language, checked before anything runs, shown as a form by its JSON Schema."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from . import patterns

Value = bool | int | float | str
# A text may become a word of a command line: it never begins with a dash, and holds no control characters.
_SAFE_TEXT = r"[A-Za-z0-9_./:+][A-Za-z0-9_./:,+=@-]{0,199}"
_TYPES: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,), "string": (str,)}


class Parameter(BaseModel):
    """One setting. Without `default` it is not set unless the job says so; it then also leaves no words behind.

    `maps_to`: the words it adds where the command says `${params}`; `${value}` in them is the value. A boolean adds
    `maps_to` when true, `maps_to_false` when false. Without either it is used by name: `${params.<name>}`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["integer", "number", "boolean", "string"]
    title: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    description: Annotated[str, StringConstraints(max_length=500)] = ""
    unit: Annotated[str, StringConstraints(max_length=20)] | None = None
    group: Literal["basic", "advanced"] = "advanced"
    default: Value | None = None
    minimum: float | None = None
    maximum: float | None = None
    enum: Annotated[list[str | int], Field(min_length=1, max_length=100)] | None = None
    # RE2, for the whole text; without one only letters, digits and _ . / : , + = @ - are taken.
    pattern: Annotated[str, StringConstraints(max_length=300)] | None = None
    maps_to: Annotated[list[Annotated[str, StringConstraints(max_length=400)]], Field(max_length=10)] = []
    maps_to_false: Annotated[list[Annotated[str, StringConstraints(max_length=400)]], Field(max_length=10)] = []

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.maps_to_false and self.type != "boolean":
            raise ValueError("`maps_to_false` is for booleans")
        if self.pattern is not None:
            if self.type != "string":
                raise ValueError("`pattern` is for strings")
            try:
                patterns.compiled(self.pattern)
            except patterns.PatternError as error:
                raise ValueError(f"`pattern` is no RE2 expression: {error}") from error
        if self.default is not None and (problem := self.problem_of(self.default)):
            raise ValueError(f"`default` {problem}")
        return self

    def problem_of(self, value: object) -> str | None:
        """What is wrong with a value, in words that follow its name; None when it is good."""
        wanted = _TYPES[self.type]
        if not isinstance(value, wanted) or (isinstance(value, bool) and self.type != "boolean"):
            return f"is {value!r}, expected {'an' if self.type == 'integer' else 'a'} {self.type}"
        if isinstance(value, float) and not math.isfinite(value):
            return "is not finite"
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                return f"is {value}, expected at least {self.minimum:g}"
            if self.maximum is not None and value > self.maximum:
                return f"is {value}, expected at most {self.maximum:g}"
        if self.enum is not None and value not in self.enum:
            return f"is {value!r}, expected one of {', '.join(map(str, self.enum))}"
        if (
            isinstance(value, str)
            and self.enum is None
            and not patterns.compiled(self.pattern or _SAFE_TEXT).fullmatch(value)
        ):
            return f"is {value!r}, which does not match {self.pattern or _SAFE_TEXT}"
        return None

    def json_schema(self) -> dict[str, Any]:
        """The parameter as a property of a JSON Schema (2020-12)."""
        schema: dict[str, Any] = {"type": self.type, "title": self.title, "x-group": self.group}
        if self.type == "string" and self.enum is None:
            schema["pattern"] = f"^(?:{self.pattern or _SAFE_TEXT})$"
        optional = {
            "description": self.description or None,
            "default": self.default,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "enum": self.enum,
            "x-unit": self.unit,
        }
        return schema | {name: value for name, value in optional.items() if value is not None}


def check_values(parameters: dict[str, Parameter], given: dict[str, Any]) -> dict[str, Value | None]:
    """The values in effect, defaults included. Raises ValueError that names every bad or unknown setting."""
    problems = [f"{name}: is no setting of this repository" for name in given if name not in parameters]
    values: dict[str, Value | None] = {}
    for name, parameter in parameters.items():
        value = given.get(name)
        if value is None:
            value = parameter.default
        elif problem := parameter.problem_of(value):
            problems.append(f"{name}: {problem}")
        values[name] = value
    if problems:
        raise ValueError("; ".join(problems))
    return values


def words(parameters: dict[str, Parameter], values: dict[str, Value | None]) -> list[str]:
    """The words that stand for `${params}` in a command, in the order of the manifest."""
    result: list[str] = []
    for name, parameter in parameters.items():
        value = values.get(name)
        if value is None:
            continue
        chosen = parameter.maps_to_false if value is False else parameter.maps_to
        result += [word.replace("${value}", text_of(value)) for word in chosen]
    return result


def text_of(value: Value) -> str:
    """A value as a word: true and false in lower case, numbers without needless digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
