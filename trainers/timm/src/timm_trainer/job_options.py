"""What evaluate, predict and export take in CONFIG_JSON; trainer.json's `options` are generated from these classes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_SPLIT = Field(
    pattern=r"^[a-z][a-z0-9_]{0,31}$",
    title="Split",
    description="The part of the dataset to use. Not set: val, or test where there is no val.",
    json_schema_extra={"x-group": "basic"},
)


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Annotated[str | None, _SPLIT] = None


class EvaluateOptions(_Options):
    """Settings of an evaluation."""

    worst_samples: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            title="Worst samples",
            description="So many of the images the model does worst on are listed and drawn.",
            json_schema_extra={"x-group": "advanced"},
        ),
    ] = 20


class PredictOptions(_Options):
    """Settings of a prediction. `images` (s3:// addresses) is put in by the platform."""

    max_overlays: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Pictures with the prediction",
            description="So many images are drawn with their prediction.",
            json_schema_extra={"x-group": "basic"},
        ),
    ] = 50
    images: list[str] | None = None


class ExportOptions(_Options):
    """Settings of an export."""

    parity_samples: Annotated[
        int,
        Field(
            ge=1,
            le=512,
            title="Samples for the comparison",
            description="So many real images go through both the original and the exported model.",
            json_schema_extra={"x-group": "advanced"},
        ),
    ] = 16
    tolerance: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Tolerance",
            description="The largest difference of any output value that is accepted.",
            json_schema_extra={"x-group": "advanced"},
        ),
    ] = 1e-3
