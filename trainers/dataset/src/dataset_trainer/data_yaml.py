"""YOLO's data.yaml: class names, where each split lies, key points. `download` is never followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .archive import Member
from .class_names import checked_class_names, clean_text
from .findings import Code, Findings
from .inventory import Inventory, Reading, read_text, stem_of, suffix_of
from .keypoints import flipped_by_name, generated_names, is_flip
from .labels import BadAnnotation
from .limits import Limits
from .safe_yaml import load_plain_yaml

_SPLIT_KEYS = (("train", "train"), ("val", "val"), ("valid", "val"), ("validation", "val"), ("test", "test"))


@dataclass(slots=True)
class DataYaml:
    """What is known about a YOLO dataset. `places` are the folders or lists that each split names.

    `shape` is (key points, numbers a key point: 2 or 3) for pose datasets.
    """

    member: Member | None
    names: list[str]
    places: dict[str, list[str]] = field(default_factory=dict)
    shape: tuple[int, int] | None = None
    keypoints: dict[str, Any] | None = None


def find_data_yaml(inventory: Inventory) -> list[Member]:
    """The YAML files that may be a data.yaml: those of that name, else all."""
    found = inventory.with_suffix("yaml", "yml")
    named = [member for member in found if stem_of(member).lower() in ("data", "dataset")]
    return named or found


def read_data_yaml(reading: Reading) -> DataYaml | None:
    """The data.yaml, or what classes.txt tells where there is none. None, noted, when neither is usable."""
    inventory, limits, findings = reading.inventory, reading.limits, reading.findings
    members = find_data_yaml(inventory)
    if len(members) > 1:
        reason = f"There are {len(members)} YAML files; keep one data.yaml."
        findings.error(Code.FORMAT_AMBIGUOUS, reason, members[1].name)
        return None
    listed = [m for m in inventory.with_suffix("txt", "names") if m.parts[-1].lower() in ("classes.txt", "obj.names")]
    member = members[0] if members else listed[0] if listed else None
    if member is None:
        reason = "There is no data.yaml (nor classes.txt) that names the classes."
        findings.error(Code.UNSUPPORTED_LAYOUT, reason)
        return None
    try:
        if member in listed:
            lines = read_text(reading.archive, member, limits.text_bytes).splitlines()
            names = checked_class_names([line for line in lines if line.strip()], member.name, limits, findings)
            return None if names is None else DataYaml(member, names)
        return _parsed(member, load_plain_yaml(read_text(reading.archive, member, limits.yaml_bytes)), limits, findings)
    except BadAnnotation as bad:
        findings.error(bad.code, bad.reason, member.name)
        return None


def _parsed(member: Member, content: dict[Any, Any], limits: Limits, findings: Findings) -> DataYaml | None:
    if content.get("download"):
        reason = "`download` was ignored: nothing in an upload is ever run or fetched."
        findings.warning(Code.DOWNLOAD_IGNORED, reason, member.name)
    names = _names(content, member, limits, findings)
    if names is None:
        return None
    parsed = DataYaml(member, names)
    root = content.get("path") if isinstance(content.get("path"), str) else ""
    for key, split in _SPLIT_KEYS:
        value = content.get(key)
        wanted = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text]
        if wanted and split not in parsed.places:
            parsed.places[split] = [f"{root}/{text}" for text in wanted]
    return parsed if _add_keypoints(parsed, content, member, limits, findings) else None


def _names(content: dict[Any, Any], member: Member, limits: Limits, findings: Findings) -> list[str] | None:
    """`names` as a list, or as a mapping whose keys are 0, 1, 2, …"""
    names = content.get("names")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            reason = f"The keys of names must be 0 to {len(names) - 1}."
            findings.error(Code.CLASS_NAME_INVALID, reason, member.name)
            return None
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list):
        findings.error(Code.CLASS_NAME_INVALID, "`names` is missing: the class names in index order.", member.name)
        return None
    count = content.get("nc")
    if type(count) is int and count != len(names):
        reason = f"`nc` is {count}, but there are {len(names)} names."
        findings.error(Code.CLASS_NAME_INVALID, reason, member.name)
        return None
    return checked_class_names(names, member.name, limits, findings)


def _add_keypoints(
    parsed: DataYaml, content: dict[Any, Any], member: Member, limits: Limits, findings: Findings
) -> bool:
    """`kpt_shape`, `flip_idx` and, where there are some, `kpt_names`. False, noted, when they contradict each other."""
    shape = content.get("kpt_shape")
    if shape is None:
        return True
    if not _is_shape(shape, limits):
        reason = f"kpt_shape: expected [number of key points up to {limits.keypoints}, 2 or 3]."
        findings.error(Code.KEYPOINT_COUNT_MISMATCH, reason, member.name)
        return False
    parsed.shape = (shape[0], shape[1])
    names = _keypoint_names(content.get("kpt_names"), shape[0])
    flips = content.get("flip_idx")
    if flips is not None and not is_flip(flips, shape[0]):
        reason = f"flip_idx: expected each of 0 to {shape[0] - 1} once, in pairs that exchange each other."
        findings.error(Code.KEYPOINT_COUNT_MISMATCH, reason, member.name)
        return False
    parsed.keypoints = {
        "names": names,
        "flip_indices": flipped_by_name(names) if flips is None else flips,
        "skeleton": [],
    }
    return True


def _is_shape(shape: Any, limits: Limits) -> bool:
    if not isinstance(shape, list) or len(shape) != 2 or any(type(number) is not int for number in shape):
        return False
    return 1 <= shape[0] <= limits.keypoints and shape[1] in (2, 3)


def _keypoint_names(given: Any, count: int) -> list[str]:
    """Ultralytics keeps a list for each class; all are the same."""
    if isinstance(given, dict) and given:
        given = next(iter(given.values()))
    names = [clean_text(name) for name in given] if isinstance(given, list) else []
    return names if len(names) == count and all(names) else generated_names(count)


def is_list_file(place: str) -> bool:
    """Whether a split names a text file of image paths instead of a folder."""
    return place.lower().endswith(".txt")


def is_text(member: Member) -> bool:
    """Whether a file may be a YOLO label file by its name."""
    return suffix_of(member) == "txt"
