"""Names of classes and key points from an upload: text that every reader of the manifest can show."""

from __future__ import annotations

import unicodedata
from typing import Any

from .findings import Code, Findings, printable
from .limits import Limits

_NAME_CHARACTERS = 200


def clean_text(value: Any) -> str:
    """Text in NFC on one line: control characters and lone surrogates become spaces, runs of spaces one."""
    if not isinstance(value, str):
        return ""
    shown = "".join(" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in value)
    return " ".join(unicodedata.normalize("NFC", shown).split())


def checked_class_names(names: list[Any], file: str, limits: Limits, findings: Findings) -> list[str] | None:
    """The names as they go into the manifest; None, noted, when one is empty, too long, no text, or there twice."""
    if len(names) > limits.classes:
        findings.error(Code.TOO_MANY_CLASSES, f"{len(names)} classes; the limit is {limits.classes}.", file)
        return None
    if not names:
        findings.error(Code.CLASS_NAME_INVALID, "There is no class name.", file)
        return None
    cleaned = [clean_text(str(name) if type(name) in (int, float) else name) for name in names]
    seen: dict[str, int] = {}
    good = True
    for index, name in enumerate(cleaned):
        problem = ""
        if not name or len(name) > _NAME_CHARACTERS:
            problem = f"Class {index} has no name, or one of more than {_NAME_CHARACTERS} characters."
        elif seen.setdefault(name, index) != index:
            problem = f"The class '{printable(name)}' is there twice, as {seen[name]} and {index}."
        if problem:
            findings.error(Code.CLASS_NAME_INVALID, problem, file)
            good = False
    return cleaned if good else None
