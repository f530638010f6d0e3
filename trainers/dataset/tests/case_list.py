"""Named uploads, each with one mistake and the finding that it must give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """An upload and what must be found in it; `usable` tells whether a version comes of it all the same."""

    task: str
    code: str
    severity: str
    make: Callable[[], bytes]
    format: str = "auto"

    @property
    def usable(self) -> bool:
        return self.severity == "warning"


class CaseList(dict[str, Case]):
    def add(self, name: str, task: str, code: str, make: Callable[[], bytes], *, format_name: str = "auto") -> None:
        self[name] = Case(task, code, "error", make, format_name)

    def warn(self, name: str, task: str, code: str, make: Callable[[], bytes]) -> None:
        self[name] = Case(task, code, "warning", make)
