"""How a model is shown to people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .manifest_part import Part


class Figure(Part):
    """A published figure, and where it was read."""

    value: float
    unit: Annotated[str, StringConstraints(max_length=60)]
    on: Annotated[str, StringConstraints(max_length=200)]
    source: Annotated[str, StringConstraints(max_length=300)]


class Weights(Part):
    """Weights that somebody trained before: `weights/custom/<name>` in the platform's storage holds `file`."""

    license: str
    source: Annotated[str, StringConstraints(max_length=300)]
    file: Annotated[str, StringConstraints(max_length=200)]


class Recommended(Part):
    """A good start."""

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]


class Catalogue(Part):
    """How the model is shown to people; only ready manifests need it."""

    title: str
    params_m: Annotated[float, Field(ge=0)]
    input_size: Annotated[int, Field(ge=1)]
    tags: list[str] = []
    weights: Weights | None = None
    accuracy: Figure | None = None
    recommended: Recommended | None = None
    memory_mb: Annotated[int, Field(ge=1)] | None = None
    notes: str | None = None
