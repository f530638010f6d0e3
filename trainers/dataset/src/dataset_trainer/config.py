"""The settings of one ingest, read from the job's environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vision_trainer.environment import TrainerEnvironment
from vision_trainer.failures import FailureCode, TrainerFailure

from .formats import AUTO, FORMATS, TASKS

DEFAULT_VAL_FRACTION = 0.2
_SETTINGS = ("source_uri", "filename", "skip_bad_files", "val_fraction", "format")


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """`val_fraction` lies in (0, 1) and is used only where the upload has no split folders."""

    source_uri: str
    filename: str
    skip_bad_files: bool
    val_fraction: float
    format: str
    task_type: str
    dataset_id: int
    dataset_version: int

    @classmethod
    def from_environment(cls, env: TrainerEnvironment) -> IngestConfig:
        """Raises TrainerFailure(BAD_CONFIG) that names every bad setting.

        The gateway has checked the same against trainer.json; a trainer started by hand has nobody else.
        """
        problems = [
            f"CONFIG_JSON.{name}: there is no such setting, expected {', '.join(_SETTINGS)}."
            for name in env.config
            if name not in _SETTINGS
        ]
        config = cls(
            source_uri=_source_uri(env, problems),
            filename=_filename(env, problems),
            skip_bad_files=_skip_bad_files(env, problems),
            val_fraction=_val_fraction(env, problems),
            format=_format(env, problems),
            task_type=_task_type(env, problems),
            dataset_id=_number("DATASET_ID", env.dataset_id, problems),
            dataset_version=_number("DATASET_VERSION", env.dataset_version, problems),
        )
        if problems:
            raise TrainerFailure(FailureCode.BAD_CONFIG, " ".join(problems))
        return config


def _source_uri(env: TrainerEnvironment, problems: list[str]) -> str:
    value = env.config.get("source_uri")
    if isinstance(value, str) and value.startswith("s3://") and "/" in value[5:]:
        return value
    problems.append(_problem("CONFIG_JSON.source_uri", value, "s3://bucket/key of the uploaded zip"))
    return ""


def _filename(env: TrainerEnvironment, problems: list[str]) -> str:
    value = env.config.get("filename")
    if isinstance(value, str) and value:
        return value
    problems.append(_problem("CONFIG_JSON.filename", value, "the name of the uploaded zip"))
    return ""


def _skip_bad_files(env: TrainerEnvironment, problems: list[str]) -> bool:
    value = env.config.get("skip_bad_files", False)
    if not isinstance(value, bool):
        problems.append(_problem("CONFIG_JSON.skip_bad_files", value, "true or false"))
    return value is True


def _val_fraction(env: TrainerEnvironment, problems: list[str]) -> float:
    value = env.config.get("val_fraction", DEFAULT_VAL_FRACTION)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    problems.append(_problem("CONFIG_JSON.val_fraction", value, "a number between 0 and 1"))
    return DEFAULT_VAL_FRACTION


def _format(env: TrainerEnvironment, problems: list[str]) -> str:
    value = env.config.get("format", AUTO)
    if value == AUTO or value in FORMATS:
        return str(value)
    problems.append(_problem("CONFIG_JSON.format", value, f"one of {', '.join((AUTO, *FORMATS))}"))
    return AUTO


def _task_type(env: TrainerEnvironment, problems: list[str]) -> str:
    if env.task_type in TASKS:
        return str(env.task_type)
    problems.append(_problem("TASK_TYPE", env.task_type, f"one of {', '.join(TASKS)}"))
    return TASKS[0]


def _number(name: str, value: str | None, problems: list[str]) -> int:
    if value is not None and value.isascii() and value.isdecimal() and int(value) >= 1:
        return int(value)
    problems.append(_problem(name, value, "a whole number from 1"))
    return 1


def _problem(name: str, found: Any, expected: str) -> str:
    return f"{name}: found {found!r}, expected {expected}."
