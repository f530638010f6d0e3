"""What a manifest's evaluate, predict and export commands write: small JSON files, checked before anything is believed.

A shim script beside the manifest usually writes them. Classes are indices in the dataset's order; boxes are x, y,
width, height in pixels of the image as given (`${images}` and `${eval_dir}` hold upright images).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from vision_trainer.contracts import Input, Output, PrCurve, RunLengthMask
from vision_trainer.failures import FailureCode, TrainerFailure

from .foreign_files import read_foreign

_LIMIT_BYTES = 256 << 20
_Index = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Point = tuple[float, float, float]


class Written(BaseModel):
    """Unknown keys are mistakes; numbers that are none (nan) may be null."""

    model_config = ConfigDict(extra="forbid")


class LabelLine(Written):
    """A class and how sure the model is."""

    category: _Index
    score: _Share


class ObjectLine(Written):
    """A found object. Key points are x, y, score."""

    category: _Index
    score: _Share
    box: tuple[float, float, float, float]
    rle: RunLengthMask | None = None
    keypoints: list[_Point] | None = None


class PredictionLine(Written):
    """One line of `${predictions}` (JSON lines). `image` is the file's name in `${images}`.

    `labels`: most likely first, at most five. `mask_file`: an 8-bit PNG of class indices beside `${predictions}`.
    """

    image: str
    labels: Annotated[list[LabelLine], Field(max_length=5)] | None = None
    objects: Annotated[list[ObjectLine], Field(max_length=5000)] | None = None
    mask_file: str | None = None
    caption: Annotated[str, Field(max_length=2000)] | None = None


class ClassFigures(Written):
    """Figures of one class, by its index."""

    category: _Index
    support: _Index
    metrics: dict[str, float | None]


class WorstLine(PredictionLine):
    """A sample the model does badly on. `image` is the file's name in `${eval_dir}`, with or without its suffix.

    `score`: lower is worse. The prediction's own fields, where given, are drawn on the picture.
    """

    score: float | None
    truth: Annotated[str, Field(max_length=2000)]


class ReportFile(Written):
    """`${report}` of an evaluation. Metrics have the contract's names (val/top1) and are those of training."""

    metrics: dict[str, float | None]
    samples: int | None = None
    per_class: list[ClassFigures] = []
    confusion_matrix: list[list[float]] | None = None
    pr_curves: list[PrCurve] | None = None
    worst: Annotated[list[WorstLine], Field(max_length=50)] = []


class ParityFigures(Written):
    """The exported model beside the original, on real validation samples."""

    samples: Annotated[int, Field(ge=1)]
    max_abs_diff: float
    metric: str
    metric_original: float | None
    metric_exported: float | None


class ExportFile(Written):
    """`${export}/export.json`. `engine` ran the exported model, such as "onnxruntime 1.23"."""

    format: str = "onnx"
    engine: str
    opset: int | None = None
    inputs: list[Input]
    outputs: list[Output]
    preprocessing: dict[str, Any]
    parity: ParityFigures


File = TypeVar("File", bound=BaseModel)


def read_written(kind: type[File], path: Path, root: Path, command: str) -> File:
    """A JSON file that a command wrote below `root`. Raises FRAMEWORK_ERROR that says what is wrong with it."""
    content = _content(path, root, command)
    try:
        return kind.model_validate(_finite(json.loads(content)))
    except (ValueError, RecursionError) as error:
        raise _wrong(command, path, error) from error


def read_predictions(path: Path, root: Path, classes: int) -> list[PredictionLine]:
    """The lines of `${predictions}`. Raises FRAMEWORK_ERROR with the number of the line."""
    lines = []
    for number, line in enumerate(_content(path, root, "predict").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = PredictionLine.model_validate(_finite(json.loads(line)))
            indices = [entry.category for entry in (*(found.labels or ()), *(found.objects or ()))]
            if any(index >= classes for index in indices):
                raise ValueError(f"category {max(indices)} of {classes} classes")  # noqa: TRY301
        except (ValueError, RecursionError) as error:
            raise _wrong("predict", path, error, f" line {number}") from error
        lines.append(found)
    return lines


def _content(path: Path, root: Path, command: str) -> bytes:
    try:
        return read_foreign(path, root, _LIMIT_BYTES)
    except OSError as error:
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"The repository's {command} ended well, but {path.name} cannot be read: {error.strerror or error}.",
        ) from error


def _finite(value: Any) -> Any:
    """NaN and Infinity, which Python's json writes and JSON does not know, become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _wrong(command: str, path: Path, error: Exception, place: str = "") -> TrainerFailure:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    else:
        reason = str(error)[:300] or type(error).__name__
    return TrainerFailure(
        FailureCode.FRAMEWORK_ERROR, f"The repository's {command} wrote {path.name}{place} wrongly: {reason}."
    )
