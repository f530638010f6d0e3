"""The key points of a pose dataset: names, what each becomes in a mirror image, which ones a line joins."""

from __future__ import annotations

import re
from typing import Any

_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
_WORD = re.compile(r"[A-Za-z]+")


def flipped_by_name(names: list[str]) -> list[int]:
    """For each key point its index in a mirror image: left_x and right_x change places, every other stays."""
    index_of = {name.lower(): index for index, name in reversed(list(enumerate(names)))}
    return [index_of.get(_mirrored(name.lower()), index) for index, name in enumerate(names)]


def is_flip(indices: Any, count: int) -> bool:
    """Whether `indices` pair `count` key points: a permutation that undoes itself."""
    if not isinstance(indices, list) or len(indices) != count:
        return False
    if any(type(index) is not int or not 0 <= index < count for index in indices):
        return False
    return all(indices[indices[index]] == index for index in range(count))


def pairs_from_one(skeleton: Any, count: int) -> list[list[int]]:
    """COCO's skeleton, whose indices count from 1, as pairs that count from 0; what makes no sense is left out."""
    pairs = []
    for pair in skeleton if isinstance(skeleton, list) else []:
        if isinstance(pair, list) and len(pair) == 2 and all(type(end) is int and 1 <= end <= count for end in pair):
            pairs.append([pair[0] - 1, pair[1] - 1])
    return pairs[:400]


def generated_names(count: int) -> list[str]:
    """Names where a format has none."""
    return [f"point_{index}" for index in range(count)]


def _mirrored(name: str) -> str:
    """The name with its first word that tells a side exchanged; single letters only as a word of their own."""
    for matched in _WORD.finditer(name):
        word = matched.group()
        if word in _SIDES:
            return name[: matched.start()] + _SIDES[word] + name[matched.end() :]
    for side in ("left", "right"):
        if side in name:
            return name.replace(side, _SIDES[side], 1)
    return name
