"""Every mistake gives its finding, and `skip_bad_files` never makes an unusable upload pass as whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from case_list import Case, CaseList
from dataset_trainer.findings import Code, Findings
from dataset_trainer.version_builder import BuildOptions, BuiltVersion, build_version
from faulty_coco import coco_mistakes
from faulty_others import other_mistakes
from faulty_rows import row_mistakes
from hostile_archives import hostile_archives

CASES = CaseList()
for mistakes in (coco_mistakes, row_mistakes, other_mistakes):
    mistakes(CASES)
# Codes whose cases are in other tests: warnings about good images, and copies.
ELSEWHERE = {"HIGH_BIT_DEPTH", "MULTI_PAGE", "DUPLICATE_IMAGE", "LABEL_CONFLICT", "CLASS_TOO_SMALL", "TOO_LARGE"}


def build(case: Case, folder: Path, findings: Findings) -> BuiltVersion | None:
    archive = folder / "upload.zip"
    archive.write_bytes(case.make())
    (folder / "work").mkdir()
    options = BuildOptions(task=case.task, format=case.format)
    return build_version(archive, folder / "work", options, findings, lambda done, total: None)


@pytest.mark.parametrize("name", CASES)
def test_is_found(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    findings = Findings()
    built = build(case, tmp_path, findings)
    listed = findings.as_list()
    found = [finding for finding in listed if finding.code == case.code]
    assert found, findings.summary() + str(listed)
    assert found[0].severity == case.severity
    assert (built is not None) == case.usable, findings.summary()
    assert all(finding.reason.endswith((".", ")")) and "\n" not in finding.reason for finding in listed)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.code == "BOX_OUTSIDE"])
def test_skipping_leaves_the_image_out(name: str, tmp_path: Path) -> None:
    findings = Findings(skip_bad_files=True)
    built = build(CASES[name], tmp_path, findings)
    assert built is None, "train has no other image"
    assert {finding.code for finding in findings.as_list() if finding.severity == "error"} == {"EMPTY_SPLIT"}
    skipped = next(finding for finding in findings.as_list() if finding.code == "BOX_OUTSIDE")
    assert skipped.reason.endswith("The file was skipped.")


def test_every_code_has_a_case() -> None:
    covered = {case.code for case in CASES.values()} | {code for code, _ in hostile_archives().values()} | ELSEWHERE
    assert {code.value for code in Code} == covered


def test_every_code_is_explained_to_users() -> None:
    text = (Path(__file__).parents[3] / "docs/datasets.md").read_text()
    assert [code.value for code in Code if f"`{code.value}`" not in text] == []


def test_equal_mistakes_stay_readable() -> None:
    findings = Findings()
    for number in range(100_000):
        findings.error(Code.BOX_OUTSIDE, f"annotation {number}: outside.", f"{number}.png")
    findings.error(Code.EMPTY_SPLIT, "The split 'val' has no usable image.", "val")
    listed = findings.as_list()
    assert len(listed) == 22
    assert listed[20].reason == "99980 more like these, 100000 in all."
    assert findings.counts() == {"error": 100_001, "warning": 0}
    assert "EMPTY_SPLIT" in {finding.code for finding in listed}
    assert "'val'" in findings.summary()
