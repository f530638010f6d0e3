"""CONFIG_JSON of the custom trainer: which repository, and its settings."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from vision_trainer.failures import FailureCode, TrainerFailure

from .manifest import Manifest
from .manifest_file import DEFAULT_NAME
from .parameters import Value, check_values

# The model whose repository the job names itself.
ANY_REPOSITORY = "repository"

_COMMIT = r"^[0-9a-f]{40}$"


class TrainSettings(BaseModel):
    """Settings that every model has."""

    model_config = ConfigDict(extra="forbid")

    git_url: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None,
        title="Git address",
        description="https://… or s3://<bucket>/repositories/<name>.bundle. For a ready model: a mirror of its source.",
        json_schema_extra={"x-group": "basic"},
    )
    accept_license: bool = Field(
        False,
        title="Accept the licence",
        description="Needed where the repository's licence asks for it (see the model's notes).",
        json_schema_extra={"x-group": "basic"},
    )
    resume_with_other_config: bool = Field(
        False,
        title="Resume with other settings",
        description="Continue from a checkpoint that was made with other settings.",
        json_schema_extra={"x-group": "advanced"},
    )


class RepositorySettings(TrainSettings):
    """What the model `repository` has besides."""

    commit: Annotated[str, StringConstraints(pattern=_COMMIT)] = Field(
        title="Commit",
        description="The full hash (40 hex digits): exactly this code runs.",
        json_schema_extra={"x-group": "basic"},
    )
    manifest: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        DEFAULT_NAME,
        title="Manifest",
        description="Path of the manifest inside of the repository.",
        json_schema_extra={"x-group": "advanced"},
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        title="Settings of the repository",
        description="As its manifest declares them.",
        json_schema_extra={"x-group": "basic"},
    )


class EvaluateOptions(BaseModel):
    """Options of an evaluation."""

    model_config = ConfigDict(extra="forbid")

    split: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")] | None = Field(
        None,
        title="Split",
        description="Not set: val, or test where there is no val.",
        json_schema_extra={"x-group": "basic"},
    )


class PredictOptions(EvaluateOptions):
    """Options of a prediction; the platform adds `images`, where images were given."""

    max_overlays: int = Field(
        50,
        ge=0,
        le=1000,
        title="Overlays",
        description="So many of the predictions are drawn on their images.",
        json_schema_extra={"x-group": "basic"},
    )
    images: list[str] | None = None


class ExportOptions(BaseModel):
    """An export has no options: what it does is the manifest's."""

    model_config = ConfigDict(extra="forbid")


Options = TypeVar("Options", bound=BaseModel)


def read_options(kind: type[Options], config: dict[str, Any]) -> Options:
    """CONFIG_JSON as options. Raises BAD_CONFIG that names every field."""
    try:
        return kind.model_validate(config)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:8])
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"CONFIG_JSON: {problems}.") from error


def read_train_settings(model_name: str, config: dict[str, Any]) -> tuple[TrainSettings, dict[str, Any]]:
    """(settings, the repository's own settings as they were given). Raises BAD_CONFIG."""
    if model_name == ANY_REPOSITORY:
        settings = read_options(RepositorySettings, config)
        if settings.git_url is None:
            raise TrainerFailure(FailureCode.BAD_CONFIG, "CONFIG_JSON: git_url: found nothing, expected an address.")
        return settings, settings.params
    common = {name: value for name, value in config.items() if name in TrainSettings.model_fields}
    return read_options(TrainSettings, common), {name: value for name, value in config.items() if name not in common}


def check_params(manifest: Manifest, given: dict[str, Any]) -> dict[str, Value | None]:
    """The repository's settings in effect. Raises BAD_CONFIG that names every one that is wrong."""
    try:
        return check_values(manifest.parameters, given)
    except ValueError as error:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"CONFIG_JSON: {error}.") from error
