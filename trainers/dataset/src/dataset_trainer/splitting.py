"""The seeded, stratified split for uploads without split folders, and the seeded order of samples."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from .findings import Code, Findings
from .labels import SourceFile


def assign_splits(files: list[SourceFile], val_fraction: float, seed: int, findings: Findings) -> list[SourceFile]:
    """Gives every file a split: of each stratum `val_fraction` of the images go to val, at least one, never all.

    Copies of one file (same CRC and size) stay together, so our own split leaks nothing from train into val.
    """
    by_stratum: dict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        by_stratum[file.stratum].append(file)
    assigned: list[SourceFile] = []
    for name, members in sorted(by_stratum.items()):
        if len(members) < 2 and name:
            findings.warning(Code.CLASS_TOO_SMALL, "The class has one image; it is trained, not measured.", name)
        wanted = min(len(members) - 1, max(1, round(len(members) * val_fraction)))
        taken = 0
        keyed = sorted((_content_key(file, seed), file.member.name, file) for file in members)
        for _, copies in groupby(keyed, key=itemgetter(0)):
            group = [file for _, _, file in copies]
            split = "val" if taken + len(group) <= wanted else "train"
            taken += len(group) if split == "val" else 0
            assigned.extend(replace(file, split=split) for file in group)
    return assigned


def in_seeded_order(files: list[SourceFile], seed: int) -> list[SourceFile]:
    """A fixed mix of the classes, so that a reader that goes through a shard front to back sees all of them."""
    return sorted(files, key=lambda file: (_digest(f"order:{seed}:{file.member.name}"), file.member.name))


def _content_key(file: SourceFile, seed: int) -> bytes:
    return _digest(f"split:{seed}:{file.member.info.CRC}:{file.member.info.file_size}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
