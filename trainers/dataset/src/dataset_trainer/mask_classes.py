"""The class names of a masks upload, and the colours that stand for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .archive import Member
from .class_names import checked_class_names, clean_text
from .findings import Code, Findings
from .inventory import Reading, read_text
from .labels import BadAnnotation
from .limits import Limits

Colour = tuple[int, int, int]
# 255 says "ignore" in a mask, so no class can have that number.
MOST_CLASSES = 255
_FILES = ("classes.json", "labelmap.json", "labelmap.txt", "label_map.txt", "classes.txt", "labels.txt")


@dataclass(slots=True)
class MaskClasses:
    """Names in index order (empty: still to be found in the masks), and the class of each colour, 255 for ignored."""

    names: list[str] = field(default_factory=list)
    colours: dict[Colour, int] = field(default_factory=dict)
    file: str | None = None


def read_mask_classes(reading: Reading) -> MaskClasses | None:
    """From classes.json, labelmap.txt or classes.txt; None, noted, when the file is wrong."""
    limits, findings = reading.limits, reading.findings
    by_name = {member.parts[-1].lower(): member for member in reversed(reading.inventory.with_suffix("json", "txt"))}
    member = next((by_name[name] for name in _FILES if name in by_name), None)
    if member is None:
        reason = "No classes.txt or classes.json names the classes; they are called class_0, class_1 and so on."
        findings.warning(Code.CLASS_NAMES_GENERATED, reason)
        return MaskClasses()
    try:
        text = read_text(reading.archive, member, limits.text_bytes)
        entries = _from_json(text) if member.name.lower().endswith(".json") else _from_lines(text)
        return _classes(entries, member, limits, findings)
    except BadAnnotation as bad:
        findings.error(bad.code, bad.reason, member.name)
        return None


def _from_json(text: str) -> list[tuple[Any, Any]]:
    """[name, …], {name: index or colour}, {index: name}, [{name, color or colour}, …], or {"classes": any of these}."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadAnnotation(Code.ANNOTATION_CORRUPT, "The JSON is damaged.") from None
    if isinstance(value, dict) and isinstance(value.get("classes"), list | dict):
        value = value["classes"]
    if isinstance(value, dict):
        if value and all(str(key).isdecimal() for key in value):
            value = [value[key] for key in sorted(value, key=int)] if _counts_from_zero(value) else None
        elif value and all(type(index) is int for index in value.values()):
            value = sorted(value, key=lambda name: value[name]) if _is_range(value.values()) else None
        else:
            return list(value.items())
    if not isinstance(value, list):
        raise BadAnnotation(Code.CLASS_NAME_INVALID, "Expected a list of names, or names with colours, in index order.")
    return [
        (entry.get("name"), entry.get("color", entry.get("colour"))) if isinstance(entry, dict) else (entry, None)
        for entry in value
    ]


def _counts_from_zero(value: dict[str, Any]) -> bool:
    return _is_range([int(key) for key in value])


def _is_range(indices: Any) -> bool:
    return sorted(indices) == list(range(len(indices)))


def _from_lines(text: str) -> list[tuple[Any, Any]]:
    """A name a line; with CVAT's labelmap `name:r,g,b:parts:actions` or `name r g b`."""
    entries: list[tuple[Any, Any]] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, *rest = line.split(":")
        words = line.split()
        if rest:
            entries.append((name, [_number(part) for part in rest[0].split(",")] if rest[0].strip() else None))
        elif len(words) > 3 and all(word.isdecimal() for word in words[-3:]):
            entries.append((" ".join(words[:-3]), [_number(word) for word in words[-3:]]))
        else:
            entries.append((line, None))
    return entries


def _number(text: str) -> int:
    stripped = text.strip()
    return int(stripped) if stripped.isascii() and stripped.isdecimal() and len(stripped) <= 3 else -1


def _classes(entries: list[tuple[Any, Any]], member: Member, limits: Limits, findings: Findings) -> MaskClasses | None:
    """Entries called `ignore` or `void` with a colour are no classes: their pixels are not counted."""
    ignored = [colour for name, colour in entries if _is_void(name) and colour is not None]
    kept = [entry for entry in entries if not (_is_void(entry[0]) and entry[1] is not None)]
    if len(kept) > MOST_CLASSES:
        reason = f"{len(kept)} classes; a mask of 8 bits has room for {MOST_CLASSES}."
        findings.error(Code.TOO_MANY_CLASSES, reason, member.name)
        return None
    names = checked_class_names([name for name, _ in kept], member.name, limits, findings)
    if names is None:
        return None
    classes = MaskClasses(names, file=member.name)
    for index, colour in [*((i, colour) for i, (_, colour) in enumerate(kept)), *((255, c) for c in ignored)]:
        if colour is None:
            continue
        valid = isinstance(colour, list) and len(colour) in (3, 4)
        if not valid or any(type(part) is not int or not 0 <= part <= 255 for part in colour):
            reason = f"Class {index}: expected a colour of three numbers from 0 to 255."
            findings.error(Code.MASK_COLOUR_UNKNOWN, reason, member.name)
            return None
        if classes.colours.setdefault((colour[0], colour[1], colour[2]), index) != index:
            reason = f"Class {index} has the colour of another class."
            findings.error(Code.MASK_COLOUR_UNKNOWN, reason, member.name)
            return None
    return classes


def _is_void(name: Any) -> bool:
    return clean_text(name).lower() in ("ignore", "ignored", "void", "unlabeled", "unlabelled")
