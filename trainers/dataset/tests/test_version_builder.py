"""The files of a version: deterministic, readable by anybody's tar, in agreement with their index."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from conftest import ZipMaker
from dataset_trainer.findings import Findings
from dataset_trainer.limits import Limits
from dataset_trainer.version_builder import BuildOptions, BuiltVersion, build_version
from hostile_archives import good_entries, zip_of
from image_files import encoded, noisy
from upload_parts import coco


def build(
    archive: Path, work: Path, findings: Findings | None = None, options: BuildOptions | None = None
) -> BuiltVersion | None:
    work.mkdir(exist_ok=True)
    return build_version(archive, work, options or BuildOptions(), findings or Findings(), lambda done, total: None)


def must_build(archive: Path, work: Path, options: BuildOptions | None = None) -> BuiltVersion:
    findings = Findings()
    built = build(archive, work, findings, options)
    assert built is not None, findings.summary()
    return built


def samples_of(built: BuiltVersion) -> list[dict[str, Any]]:
    with gzip.open(built.samples_path, "rt") as lines:
        return [json.loads(line) for line in lines]


def test_samples_shards_and_files_agree(make_zip: ZipMaker, tmp_path: Path) -> None:
    entries = good_entries()
    built = must_build(make_zip(*entries), tmp_path / "work")
    contents = {str(name): content for name, content in entries}
    shards = {shard.name: shard.path for shard in built.shards}
    for sample in samples_of(built):
        with shards[sample["shard"]].open("rb") as file:
            file.seek(sample["offset"])
            data = file.read(sample["bytes"])
        assert data == contents[sample["source"]]
        assert hashlib.sha256(data).hexdigest() == sample["sha256"]
        assert built.classes[sample["label"]] == sample["source"].split("/")[1]
        with tarfile.open(shards[sample["shard"]]) as tar:
            member = tar.extractfile(sample["member"])
            assert member is not None
            assert member.read() == data
    assert built.counts == {"train": 6, "val": 6}
    assert built.class_counts == {"train": [3, 3], "val": [3, 3]}


def test_the_same_upload_gives_the_same_bytes(make_zip: ZipMaker, tmp_path: Path) -> None:
    archive = make_zip(
        *((f"{label}/{n}.png", encoded(shade=90 * (label == "a") + n)) for label in "ab" for n in range(9))
    )
    one, two = (must_build(archive, tmp_path / name, BuildOptions(seed=5)) for name in ("one", "two"))
    assert [shard.path.read_bytes() for shard in one.shards] == [shard.path.read_bytes() for shard in two.shards]
    assert one.samples_path.read_bytes() == two.samples_path.read_bytes()
    assert one.statistics == two.statistics


def test_shards_stay_below_their_limit(make_zip: ZipMaker, tmp_path: Path) -> None:
    entries = [(f"{split}/{label}/{n}.bmp", noisy("BMP", seed=n + 10 * (label == "a") + 50 * (split == "val") + 1))
               for split in ("train", "val") for label in "ab" for n in range(5)]  # fmt: skip
    built = must_build(make_zip(*entries), tmp_path / "work", BuildOptions(limits=Limits(shard_bytes=60_000)))
    assert [shard.name for shard in built.shards[:2]] == ["shards/train-00000.tar", "shards/train-00001.tar"]
    assert len(built.shards) > 4
    assert all(shard.bytes <= 60_000 for shard in built.shards)
    assert sum(shard.samples for shard in built.shards) == len(samples_of(built)) == 20


def test_bad_files_are_skipped_on_request(make_zip: ZipMaker, tmp_path: Path) -> None:
    archive = make_zip(*good_entries(), ("train/cat/bad.png", b"hello"), ("train/dog/half.png", noisy("PNG")[:2000]))
    findings = Findings(skip_bad_files=True)
    built = build(archive, tmp_path / "work", findings)
    assert built is not None
    assert built.samples_count == 12
    assert findings.counts() == {"error": 0, "warning": 2}
    assert {finding.code for finding in findings.as_list()} == {"NOT_AN_IMAGE", "IMAGE_TRUNCATED"}


def test_skipping_never_excuses_an_attack(make_zip: ZipMaker, tmp_path: Path) -> None:
    findings = Findings(skip_bad_files=True)
    assert build(make_zip(*good_entries(), ("../../x.png", encoded())), tmp_path / "work", findings) is None
    assert findings.counts()["error"] == 1


def test_skipping_may_leave_a_class_empty(make_zip: ZipMaker, tmp_path: Path) -> None:
    findings = Findings(skip_bad_files=True)
    archive = make_zip(*good_entries(), ("train/fox/1.png", b"hello"))
    assert build(archive, tmp_path / "work", findings) is None
    assert findings.as_list()[0].code == "EMPTY_CLASS"


def test_copies_across_splits_and_classes_are_warned_about(make_zip: ZipMaker, tmp_path: Path) -> None:
    copy = encoded(shade=77)
    archive = make_zip(*good_entries(), ("train/cat/x.png", copy), ("train/dog/x.png", copy), ("val/cat/x.png", copy))
    findings = Findings()
    assert build(archive, tmp_path / "work", findings) is not None
    assert {finding.code for finding in findings.as_list()} == {"LABEL_CONFLICT", "DUPLICATE_IMAGE"}


def test_what_systems_leave_behind_is_ignored(make_zip: ZipMaker, tmp_path: Path) -> None:
    junk = [("__MACOSX/train/cat/._0.png", b"x"), ("train/cat/.DS_Store", b"x"), ("train/dog/Thumbs.db", b"x")]
    findings = Findings()
    built = build(make_zip(*good_entries(), *junk), tmp_path / "work", findings)
    assert built is not None
    assert built.ignored == 3
    assert findings.counts() == {"error": 0, "warning": 0}


def test_names_without_the_utf8_flag_are_read_as_mac_os_writes_them(tmp_path: Path) -> None:
    # The Finder writes UTF-8 names, decomposed, and does not set the flag.
    raw = zip_of(
        *good_entries(), *((f"{split}/cafE/{split}.png", encoded(shade=500 + len(split))) for split in ("train", "val"))
    )
    path = tmp_path / "upload.zip"
    path.write_bytes(raw.replace(b"cafE", "é".encode() + b"te"))
    assert must_build(path, tmp_path / "work").classes == ["cat", "dog", "éte"]


def test_statistics_are_those_of_the_training_pixels(make_zip: ZipMaker, tmp_path: Path) -> None:
    entries = [
        ("train/a/1.png", encoded(shade=0, mode="L")),
        ("train/b/1.png", encoded(shade=255, mode="L")),
        ("val/a/1.png", encoded(shade=9, mode="L", size=(20, 30))),
        ("val/b/1.jpg", encoded("JPEG", shade=9, mode="L")),
    ]
    statistics = must_build(make_zip(*entries), tmp_path / "work").statistics
    assert statistics["mean"] == [0.5, 0.5, 0.5]
    assert statistics["std"] == [0.5, 0.5, 0.5]
    assert statistics["width"] == {"min": 8, "max": 20, "mean": 11.0}
    assert statistics["formats"] == {"jpg": 1, "png": 3}


def test_the_caller_can_end_the_work_after_any_image(make_zip: ZipMaker, tmp_path: Path) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Enough

    (tmp_path / "work").mkdir()
    with pytest.raises(Enough):
        build_version(make_zip(*good_entries()), tmp_path / "work", BuildOptions(), Findings(), stop)


def test_the_caller_can_end_the_work_while_annotations_are_read(tmp_path: Path) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def stop() -> None:
        raise Enough

    (tmp_path / "upload.zip").write_bytes(coco())
    options = BuildOptions(task="object_detection")
    with pytest.raises(Enough):
        build_version(tmp_path / "upload.zip", tmp_path, options, Findings(), lambda done, total: None, breathe=stop)
