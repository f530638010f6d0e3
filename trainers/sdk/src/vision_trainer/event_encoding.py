"""Turns what a trainer says into JSON the contract allows: finite numbers, bounded strings, at most 16 KiB."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

MAX_EVENT_BYTES = 16 * 1024
TERMINAL_TYPES = frozenset({"succeeded", "failed", "stopped"})

# Room for `{"v":1,"type":…,"ts":…,"src_seq":…,"data":…}` around the data.
_DATA_LIMIT_BYTES = MAX_EVENT_BYTES - 256
# (event type, field) → the longest string the contract models accept.
_FIELD_LIMITS = {
    ("log", "message"): 8000,
    ("warning", "message"): 2000,
    ("failed", "message"): 4000,
    ("failed", "trace_tail"): 6000,
    ("sample", "prediction"): 2000,
    ("sample", "truth"): 2000,
}
# The interesting end of a traceback is its last line.
_KEEP_TAIL = frozenset({"trace_tail"})


def now_rfc3339() -> str:
    """The present in UTC with milliseconds and a Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean_data(kind: str, data: Mapping[str, Any], redact: Callable[[str], str] = str) -> tuple[dict[str, Any], bool]:
    """Returns (JSON-safe copy of `data` that fits one event, whether a non-finite number became null).

    Strings pass through `redact` first and are clipped to the contract's limits. Raises TypeError for a value that
    JSON does not know, ValueError when the data cannot be made to fit or is not what the contract says.
    """
    found_non_finite = False

    def clean(value: Any) -> Any:
        nonlocal found_non_finite
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, str):
            # A lone surrogate (from a file name) cannot be sent as UTF-8.
            return redact(value).encode("utf-8", "replace").decode("utf-8")
        if isinstance(value, float):
            if math.isfinite(value):
                return float(value)
            found_non_finite = True
            return None
        if isinstance(value, Mapping):
            return {str(key): clean(item) for key, item in value.items()}
        if isinstance(value, Sequence):
            return [clean(item) for item in value]
        raise TypeError(f"event {kind}: {type(value).__name__} is not a JSON value")

    cleaned = {name: _clip(name, value, _FIELD_LIMITS.get((kind, name))) for name, value in clean(dict(data)).items()}
    fitted = _fit(kind, cleaned)
    _check(kind, fitted)
    return fitted, found_non_finite


def encode_event(kind: str, ts: str, src_seq: int, data: Mapping[str, Any]) -> str:
    """The event as one line of JSON."""
    event = {"v": 1, "type": kind, "ts": ts, "src_seq": src_seq, "data": data}
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _check(kind: str, data: dict[str, Any]) -> None:
    """Holds the data against the generated contract model. Raises ValueError where it does not conform."""
    from . import contracts

    model = getattr(contracts, f"{kind.capitalize()}Data", None)
    if model is None:
        raise ValueError(f"{kind!r} is not an event type of the contract")
    model.model_validate(data)


def _clip(name: str, value: Any, limit: int | None) -> Any:
    if not isinstance(value, str) or limit is None or len(value) <= limit:
        return value
    return "…" + value[1 - limit :] if name in _KEEP_TAIL else value[: limit - 1] + "…"


def _fit(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Shortens the strings further and further until the data fits."""
    for limit in (None, 4000, 2000, 500, 100):
        fitted = {name: _clip(name, value, limit) for name, value in data.items()}
        if len(json.dumps(fitted, ensure_ascii=False, separators=(",", ":")).encode()) <= _DATA_LIMIT_BYTES:
            return fitted
    raise ValueError(f"event {kind}: more than {MAX_EVENT_BYTES} bytes, and not because of a long text")
