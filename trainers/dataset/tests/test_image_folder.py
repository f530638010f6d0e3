"""Which folders are splits, which are classes, and which names are junk."""

from __future__ import annotations

import zipfile

import pytest

from dataset_trainer.archive import Listing, Member
from dataset_trainer.findings import Findings
from dataset_trainer.image_folder import read_image_folder
from dataset_trainer.inventory import Inventory
from dataset_trainer.labels import Source


def listing(*names: str) -> Listing:
    members = [Member(tuple(name.split("/")), zipfile.ZipInfo(name)) for name in names]
    return Listing(files=members)


def found_in(names: tuple[str, ...], findings: Findings | None = None) -> Source:
    findings = findings or Findings()
    found = read_image_folder(Inventory(listing(*names), findings), findings)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("names", "layout", "labelled"),
    [
        (("a/1.png", "b/2.png"), "class", {(None, "a"), (None, "b")}),
        (("top/a/1.png", "top/b/2.png"), "class", {(None, "a"), (None, "b")}),
        (("x/y/a/1.png", "x/y/b/2.png"), "class", {(None, "a"), (None, "b")}),
        (("train/a/1.png", "val/b/2.png"), "split/class", {("train", "a"), ("val", "b")}),
        (("d/Train/a/1.png", "d/valid/a/2.png"), "split/class", {("train", "a"), ("val", "a")}),
        (
            ("train/a/1.png", "validation/a/2.png", "test/a/3.JPG"),
            "split/class",
            {(s, "a") for s in ("train", "val", "test")},
        ),
        (("train/a/1.png",), "split/class", {("train", "a")}),
        (("train/1.png", "bus/2.png"), "class", {(None, "train"), (None, "bus")}),
        (("a/deep/er/1.png", "b/2.png"), "class", {(None, "a"), (None, "b")}),
        (("a/1.png", "b/2.png", "README.md"), "class", {(None, "a"), (None, "b")}),
    ],
)
def test_finds_splits_and_classes(names: tuple[str, ...], layout: str, labelled: set[tuple[str | None, str]]) -> None:
    found = found_in(names)
    assert found.layout == layout
    assert {(file.split, file.stratum) for file in found.files} == labelled


def test_classes_are_sorted_by_code_point() -> None:
    found = found_in(("10/1.png", "2/1.png", "é/1.png", "Z/1.png"))
    assert found.labeller.classes() == ["10", "2", "Z", "é"]


def test_stray_files_are_warned_about_and_left_out() -> None:
    findings = Findings()
    found_in(("a/1.png", "b/1.png", "b/labels.csv", "notes.txt"), findings)
    assert [finding.file for finding in findings.as_list()] == ["b/labels.csv", "notes.txt"]
    assert findings.counts() == {"error": 0, "warning": 2}


def test_a_top_folder_that_is_itself_a_class_is_not_skipped() -> None:
    found = found_in(("cat/1.png", "cat/2.png"))
    assert found.labeller.classes() == ["cat"]
