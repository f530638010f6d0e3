"""The split is seeded, stratified, and keeps copies together."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter

from dataset_trainer.archive import Member
from dataset_trainer.findings import Findings
from dataset_trainer.labels import SourceFile
from dataset_trainer.splitting import assign_splits, in_seeded_order


def files(counts: dict[str, int], *, copies: int = 1) -> list[SourceFile]:
    made = []
    for name, count in counts.items():
        for number in range(count):
            info = zipfile.ZipInfo(f"{name}/{number}.png")
            info.CRC, info.file_size = zlib.crc32(f"{name}{number // copies}".encode()), 100
            made.append(SourceFile(Member((name, f"{number}.png"), info), None, name))
    return made


def split_of(assigned: list[SourceFile]) -> dict[str, str | None]:
    return {file.member.name: file.split for file in assigned}


def test_each_class_gives_its_share() -> None:
    assigned = assign_splits(files({"a": 100, "b": 10, "c": 2}), 0.2, 0, Findings())
    shares = Counter((file.stratum, file.split) for file in assigned)
    assert shares == {
        ("a", "val"): 20, ("a", "train"): 80, ("b", "val"): 2, ("b", "train"): 8, ("c", "val"): 1, ("c", "train"): 1,
    }  # fmt: skip


def test_the_seed_alone_decides() -> None:
    several = files({"a": 50, "b": 50})
    once = split_of(assign_splits(several, 0.2, 7, Findings()))
    assert split_of(assign_splits(several[::-1], 0.2, 7, Findings())) == once
    assert split_of(assign_splits(several, 0.2, 8, Findings())) != once


def test_copies_stay_on_one_side() -> None:
    assigned = assign_splits(files({"a": 60, "b": 60}, copies=3), 0.25, 1, Findings())
    sides: dict[int, set[str | None]] = {}
    for file in assigned:
        sides.setdefault(file.member.info.CRC, set()).add(file.split)
    assert all(len(side) == 1 for side in sides.values())
    assert Counter(file.split for file in assigned)["val"] == 30


def test_a_single_image_is_trained_on_and_warned_about() -> None:
    findings = Findings()
    assigned = assign_splits(files({"a": 1, "b": 5}), 0.2, 0, findings)
    assert split_of(assigned)["a/0.png"] == "train"
    assert [finding.code for finding in findings.as_list()] == ["CLASS_TOO_SMALL"]


def test_the_order_mixes_classes_and_is_fixed() -> None:
    several = files({"a": 50, "b": 50})
    order = [file.member.name for file in in_seeded_order(several, 3)]
    assert order == [file.member.name for file in in_seeded_order(several[::-1], 3)]
    assert {name[0] for name in order[:15]} == {"a", "b"}
