"""Reads single variables and collects what is wrong with them, so that one run names all of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast, overload
from urllib.parse import urlsplit

from .failures import FailureCode, TrainerFailure


class _Absent:
    """Marks a variable that has no default: it must be set."""


ABSENT: Final = _Absent()
_SHOWN_CHARACTERS = 120
_LONGEST_PATH = 4096
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


class Problems:
    """The list of bad variables of one start."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, name: str, found: str, expected: str) -> None:
        """Notes one bad variable."""
        self.lines.append(f"{name}: found {found}, expected {expected}.")

    def raise_if_any(self) -> None:
        """Raises TrainerFailure(BAD_CONFIG) that lists every bad variable."""
        if self.lines:
            raise TrainerFailure(FailureCode.BAD_CONFIG, " ".join(self.lines))


class VariableReader:
    """Typed access to a mapping of strings; an empty string counts as not set.

    A bad value is noted in `problems` and a placeholder is returned, because the caller raises once at the end.
    """

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self._environ = environ
        self._problems = problems
        self._spelling: dict[str, str] = {}

    def synonym(self, name: str, *others: str) -> None:
        """Lets `name` be read from another spelling where `name` itself is not set."""
        for other in others:
            if not self._environ.get(name) and self._environ.get(other):
                self._spelling[name] = other
                return

    @overload
    def pattern(self, name: str, regex: str, expected: str, *, secret: bool = False) -> str: ...
    @overload
    def pattern(self, name: str, regex: str, expected: str, *, default: str | _Absent, secret: bool = False) -> str: ...
    @overload
    def pattern(
        self, name: str, regex: str, expected: str, *, default: str | _Absent | None, secret: bool = False
    ) -> str | None: ...
    def pattern(
        self,
        name: str,
        regex: str,
        expected: str,
        *,
        default: str | _Absent | None = ABSENT,
        secret: bool = False,
    ) -> str | None:
        """A string that matches `regex` as a whole. The value of a secret is never repeated in the message."""
        value = self._value(name)
        if value is None:
            return cast("str | None", self._default(name, default, expected))
        # Digits and letters are those of ASCII; what cannot be printed is in no value of the contract.
        if value.isprintable() and re.fullmatch(regex, value, re.ASCII) and ("://" not in value or _is_address(value)):
            return value
        self._problem(name, "a value that is not shown" if secret else _shown(value), expected)
        return ""

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`."""
        return self.pattern(name, "|".join(map(re.escape, choices)), "one of " + ", ".join(choices))

    def integer(self, name: str, minimum: int, maximum: int, *, default: Any = ABSENT) -> Any:
        """A whole number in [minimum, maximum]."""
        expected = f"a whole number from {minimum} to {maximum}"
        value = self._value(name)
        if value is None:
            return self._default(name, default, expected)
        if re.fullmatch(r"-?[0-9]{1,18}", value) and minimum <= int(value) <= maximum:
            return int(value)
        self._problem(name, _shown(value), expected)
        return minimum

    def number(
        self, name: str, minimum: float, maximum: float, *, default: Any = ABSENT, above_minimum: bool = False
    ) -> Any:
        """A finite number in [minimum, maximum], or in (minimum, maximum] with `above_minimum`."""
        expected = f"a number {'above' if above_minimum else 'from'} {minimum:g} up to {maximum:g}"
        value = self._value(name)
        if value is None:
            return self._default(name, default, expected)
        # float() also takes other alphabets' digits, underscores and blanks around.
        number = float(value) if re.fullmatch(_NUMBER, value) else math.nan
        if math.isfinite(number) and minimum <= number <= maximum and not (above_minimum and number == minimum):
            return number
        self._problem(name, _shown(value), expected)
        return maximum

    def boolean(self, name: str, *, default: bool) -> bool:
        """1/true or 0/false."""
        value = self._value(name)
        if value is None:
            return default
        if value.lower() in ("1", "true"):
            return True
        if value.lower() not in ("0", "false"):
            self._problem(name, _shown(value), "1, 0, true or false")
        return False

    def absolute_path(self, name: str) -> Path | None:
        """An absolute path, or None where the variable is not set."""
        value = self._value(name)
        if value is None:
            return None
        if not Path(value).is_absolute() or not value.isprintable() or len(value) > _LONGEST_PATH:
            self._problem(name, _shown(value), "an absolute path")
        return Path(value)

    def json_object(self, name: str, limit_bytes: int) -> dict[str, Any]:
        """A JSON object of at most `limit_bytes` bytes; not set means empty."""
        value = self._value(name)
        if value is None:
            return {}
        size = len(value.encode(errors="surrogatepass"))
        if size > limit_bytes:
            self._problem(name, f"{size} bytes", f"at most {limit_bytes} bytes of JSON")
            return {}
        try:
            value.encode()
            parsed = json.loads(value, parse_constant=_refuse_number, parse_float=_finite)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        self._problem(name, _shown(value), "a JSON object")
        return {}

    def _value(self, name: str) -> str | None:
        return self._environ.get(self._spelling.get(name, name)) or None

    def _default(self, name: str, default: object, expected: str) -> object:
        if default is not ABSENT:
            return default
        self._problem(name, "nothing", expected)
        return ""

    def _problem(self, name: str, found: str, expected: str) -> None:
        self._problems.add(self._spelling.get(name, name), found, expected)


def _shown(value: str) -> str:
    clipped = value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…"
    return repr(clipped)


def _is_address(value: str) -> bool:
    """Whether a URL has a host, and a port that is one where it names a port."""
    try:
        parts = urlsplit(value)
        return parts.scheme == "unix" or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


def _refuse_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)
