"""What one line of a repository's output says about its progress."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import patterns
from .manifest_progress import Metric, Progress

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """A position and figures. Epochs and steps count from 1; None where the line does not tell."""

    kind: str
    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    split: str = "train"
    values: dict[str, float] = field(default_factory=dict)


class LineReader:
    """Reads the lines of one place. For CSV it remembers the header, so each file needs a reader of its own."""

    def __init__(self, source: Progress) -> None:
        self._source = source
        self._metrics = source.contract_metrics()
        self._columns = source.columns

    def read(self, line: str) -> Update | None:
        """The update in a line, or None when it holds none. Never raises."""
        fields = self._fields(line)
        if fields is None or any(_text(look_up(fields, name)) != text for name, text in self._source.where.items()):
            return None
        return to_update(self._source, self._metrics, fields)

    def _fields(self, line: str) -> Fields | None:
        if self._source.format == "json_lines":
            start = line.find("{")
            try:
                content = json.loads(line[start:]) if start >= 0 else None
            except (ValueError, RecursionError):
                return None
            return content if isinstance(content, dict) else None
        if self._source.format == "csv":
            return self._row(line)
        found = patterns.compiled(self._source.pattern or "").search(line)
        return {name: value for name, value in found.groupdict().items() if value is not None} if found else None

    def _row(self, line: str) -> Fields | None:
        cells = [
            cell.strip() for cell in (line.split(self._source.delimiter) if self._source.delimiter else line.split())
        ]
        if self._columns is None:
            self._columns = cells
            return None
        # A file that is begun anew repeats its header.
        return dict(zip(self._columns, cells, strict=False)) if cells and cells != self._columns else None


def to_update(source: Progress, metrics: Mapping[str, Metric], fields: Fields) -> Update | None:
    """The fields under the contract's names; None when they hold neither a position nor a figure."""
    epoch, epochs = _position(fields, source.epoch, source.epochs)
    step, steps = _position(fields, source.step, source.steps)
    values = {}
    for key, metric in metrics.items():
        value = number(look_up(fields, key))
        if value is not None:
            values[metric.name] = value * metric.scale + metric.offset
    if epoch is None and step is None and not values:
        return None
    return Update(
        source.kind,
        None if epoch is None else epoch + 1 - source.epoch_base,
        epochs,
        None if step is None else step + 1 - source.step_base,
        steps,
        source.split,
        values,
    )


def look_up(fields: Fields, name: str) -> Any:
    """A field by its name; `a.b` is also field b of the object a."""
    if name in fields:
        return fields[name]
    found: Any = fields
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def number(value: object) -> float | None:
    """A figure as a float: also from text, also nan and inf; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _position(fields: Fields, name: str, total_name: str) -> tuple[int | None, int | None]:
    """(where, of how many); one text such as 3/10 tells both."""
    value, total = look_up(fields, name), look_up(fields, total_name)
    if isinstance(value, str) and "/" in value:
        value, _, total = value.partition("/")
    return _whole(value), _whole(total)


def _whole(value: object) -> int | None:
    found = number(value)
    return int(found) if found is not None and math.isfinite(found) and 0 <= found < 2**53 else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
