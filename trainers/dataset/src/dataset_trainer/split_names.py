"""The names under which people keep train, val and test."""

from __future__ import annotations

import re

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_WORDS = SPLIT_NAMES | {"training": "train", "testing": "test"}
_FOLDER = re.compile(r"([a-z]+)[-_]?(?:\d*|images?|imgs?|set|data)")
_TOKEN = re.compile(r"[a-z]+")


def split_of_folder(name: str) -> str | None:
    """train, val or test for folder names such as `train`, `Valid`, `val2017`, `test_images`; else None."""
    matched = _FOLDER.fullmatch(name.lower())
    return _WORDS.get(matched.group(1)) if matched else None


def split_of_folders(parts: tuple[str, ...]) -> str | None:
    """The split that the innermost folder with such a name tells; `parts` are folders only."""
    return next((split for part in reversed(parts) if (split := split_of_folder(part))), None)


def split_of_stem(stem: str) -> str | None:
    """The split told by a word of a file name: `instances_train2017`, `val`, `captions-test`; None when two differ."""
    found = {_WORDS[word] for word in _TOKEN.findall(stem.lower()) if word in _WORDS}
    return found.pop() if len(found) == 1 else None
