"""From a zip on the local disk to a complete dataset version on the local disk; nothing here touches the network."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archive import ArchiveRefused, list_members, open_archive, read_member
from .findings import Code, Findings, printable
from .image_check import BadImage, ImageFacts, check_image
from .image_statistics import ImageStatistics
from .layout import SPLITS, LabelledFile, Layout, check_counts, find_layout
from .limits import DEFAULT_LIMITS, Limits
from .shards import Shard, ShardWriter
from .splitting import assign_splits, in_seeded_order

SOURCE_FORMAT = "image_folder"
SAMPLES_NAME = "samples.jsonl.gz"

# Called after every image with (images done, images in all); may raise to stop the work.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What decides the bytes of a version, besides the archive."""

    seed: int = 0
    val_fraction: float = 0.2
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class BuiltVersion:
    """A checked version, its files waiting in the work folder for the upload.

    `counts` are samples per split, `class_counts` samples per split and class in the order of `classes`.
    """

    layout: str
    classes: list[str]
    counts: dict[str, int]
    class_counts: dict[str, list[int]]
    shards: list[Shard]
    samples_path: Path
    samples_bytes: int
    samples_sha256: str
    samples_count: int
    ignored: int
    statistics: dict[str, Any]


def build_version(
    archive_path: Path, work: Path, options: BuildOptions, findings: Findings, on_image: Progress
) -> BuiltVersion | None:
    """Checks every image of the zip and writes shards and the sample index below `work`.

    Returns None when `findings` holds an error; what lies in `work` is then of no use. Raises whatever `on_image`
    raises, and OSError when the local disk fails.
    """
    try:
        with open_archive(archive_path, options.limits, findings) as archive:
            listing = list_members(archive, options.limits, findings)
            layout = find_layout(listing, findings)
            if layout is None:
                return None
            version = _Version(work, layout, options, findings)
            version.add_all(archive, _ordered(layout, options, findings), on_image)
            return version.finish(listing.ignored)
    except ArchiveRefused:
        return None


def _ordered(layout: Layout, options: BuildOptions, findings: Findings) -> list[LabelledFile]:
    files = layout.files
    if layout.name == "class":
        files = assign_splits(files, options.val_fraction, options.seed, findings)
    mixed = in_seeded_order(files, options.seed)
    return [file for split in SPLITS for file in mixed if file.split == split]


class _Version:
    """The version while it grows, one image in memory at a time."""

    def __init__(self, work: Path, layout: Layout, options: BuildOptions, findings: Findings) -> None:
        self._layout = layout
        self._options = options
        self._findings = findings
        self._index_of = {name: index for index, name in enumerate(layout.classes)}
        self._class_counts: dict[str, list[int]] = {split: [0] * len(layout.classes) for split in SPLITS}
        self._statistics = ImageStatistics()
        self._first_with: dict[bytes, LabelledFile] = {}
        self._folder = work / "version"
        (self._folder / "shards").mkdir(parents=True)
        self._writers = {
            split: ShardWriter(self._folder / "shards", split, options.limits.shard_bytes) for split in SPLITS
        }
        self._samples_path = self._folder / SAMPLES_NAME

    def add_all(self, archive: zipfile.ZipFile, files: list[LabelledFile], on_image: Progress) -> None:
        """Checks every file; writes it for as long as no error has been found."""
        # No name and no time in the gzip header: the same upload gives the same bytes.
        with self._samples_path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as lines:
            for done, file in enumerate(files, start=1):
                try:
                    data = read_member(archive, file.member)
                    facts = check_image(data, self._options.limits)
                except zipfile.BadZipFile:
                    reason = "The file is damaged inside the zip (wrong checksum or length)."
                    self._findings.bad_file(Code.FILE_CORRUPT, reason, file.member.name)
                except BadImage as bad:
                    self._findings.bad_file(bad.code, bad.reason, file.member.name)
                else:
                    self._add(file, data, facts, lines)
                on_image(done, len(files))
        for writer in self._writers.values():
            writer.close()

    def finish(self, ignored: int) -> BuiltVersion | None:
        """Judges the counts; None when there was any error."""
        present = {split: counts for split, counts in self._class_counts.items() if sum(counts) or split != "test"}
        check_counts(present, self._layout.classes, self._findings)
        if self._findings.error_count:
            return None
        index = self._samples_path.read_bytes()
        counts = {split: sum(per_class) for split, per_class in present.items()}
        return BuiltVersion(
            layout=self._layout.name,
            classes=self._layout.classes,
            counts=counts,
            class_counts=present,
            shards=[shard for split in SPLITS for shard in self._writers[split].shards],
            samples_path=self._samples_path,
            samples_bytes=len(index),
            samples_sha256=hashlib.sha256(index).hexdigest(),
            samples_count=sum(counts.values()),
            ignored=ignored,
            statistics=self._statistics.as_json(),
        )

    def _add(self, file: LabelledFile, data: bytes, facts: ImageFacts, lines: gzip.GzipFile) -> None:
        assert file.split is not None  # noqa: S101 - _ordered gave every file its split
        split, label = file.split, self._index_of[file.class_name]
        digest = hashlib.sha256(data)
        self._note_copies(file, digest.digest())
        self._note_oddities(file, facts)
        number = sum(self._class_counts[split])
        self._class_counts[split][label] += 1
        if self._findings.error_count:
            return
        self._statistics.add(facts, split)
        sample_id = f"{split}-{number:08d}"
        stored = self._writers[split].add(f"{sample_id}.{facts.extension}", data)
        sample: dict[str, Any] = {
            "id": sample_id,
            "split": split,
            "shard": stored.shard,
            "member": stored.member,
            "offset": stored.offset,
            "bytes": len(data),
            "width": facts.width,
            "height": facts.height,
            "sha256": digest.hexdigest(),
            "label": label,
            "source": file.member.name,
        }
        if facts.orientation != 1:
            sample["orientation"] = facts.orientation
        lines.write(json.dumps(sample, separators=(",", ":")).encode() + b"\n")

    def _note_copies(self, file: LabelledFile, digest: bytes) -> None:
        """Copies spoil the figures: across splits val is no longer unseen, across classes one label is wrong."""
        first = self._first_with.setdefault(digest, file)
        if first is file:
            return
        other = printable(first.member.name)
        if first.class_name != file.class_name:
            reason = f"The same image has another class as {other}."
            self._findings.warning(Code.LABEL_CONFLICT, reason, file.member.name)
        if first.split != file.split:
            reason = f"The same image is in {first.split} as {other}; the figures of {file.split} will flatter."
            self._findings.warning(Code.DUPLICATE_IMAGE, reason, file.member.name)

    def _note_oddities(self, file: LabelledFile, facts: ImageFacts) -> None:
        if facts.high_bit_depth:
            reason = "More than 8 bits a pixel: values above 255 are clipped when it is decoded for training."
            self._findings.warning(Code.HIGH_BIT_DEPTH, reason, file.member.name)
        if facts.multi_page:
            self._findings.warning(Code.MULTI_PAGE, "Only the first page of the image is used.", file.member.name)
