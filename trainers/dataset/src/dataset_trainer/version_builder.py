"""From a zip on the local disk to a complete dataset version on the local disk; nothing here touches the network."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archive import ArchiveRefused, list_members, open_archive
from .counts_check import Counted, check_counts
from .examination import Examined, examined_files
from .findings import Code, Findings, printable
from .formats import AUTO, CLASSIFICATION
from .image_check import ImageFacts, quiet_decoders
from .image_statistics import ImageStatistics
from .inventory import Inventory, Reading
from .label_statistics import LabelStatistics
from .labels import Source, SourceFile
from .limits import DEFAULT_LIMITS, Limits
from .shards import Shard, ShardWriter
from .source_reader import read_source
from .split_names import SPLITS
from .splitting import assign_splits, in_seeded_order

SAMPLES_NAME = "samples.jsonl.gz"

# Called after every image with (images done, images in all); may raise to stop the work.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What decides the bytes of a version, besides the archive."""

    seed: int = 0
    val_fraction: float = 0.2
    task: str = CLASSIFICATION
    format: str = AUTO
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class BuiltVersion:
    """A checked version, its files waiting in the work folder for the upload.

    `counts` are samples per split; `class_counts` per split and class, in the order of `classes`, what the manifest
    counts for the task. `split_here`: the upload had no splits.
    """

    format: str
    layout: str
    split_here: bool
    keypoints: dict[str, Any] | None
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
    archive_path: Path,
    work: Path,
    options: BuildOptions,
    findings: Findings,
    on_image: Progress,
    *,
    breathe: Callable[[], None] = lambda: None,
) -> BuiltVersion | None:
    """Checks every image of the zip and writes shards and the sample index below `work`.

    Returns None when `findings` holds an error; what lies in `work` is then of no use. Raises whatever `on_image`
    and `breathe` (called now and then before the first image) raise, and OSError when the local disk fails.
    """
    try:
        with open_archive(archive_path, options.limits, findings) as archive:
            listing = list_members(archive, options.limits, findings)
            inventory = Inventory(listing, findings)
            reading = Reading(archive, inventory, options.task, work, options.limits, findings, breathe)
            source = read_source(reading, options.format)
            if source is None:
                return None
            version = _Version(work, source, options, findings)
            version.add_all(archive, _ordered(source, options, findings), on_image)
            return version.finish(listing.ignored)
    except ArchiveRefused:
        return None


def _ordered(source: Source, options: BuildOptions, findings: Findings) -> list[SourceFile]:
    files = source.files
    if not source.has_splits:
        files = assign_splits(files, options.val_fraction, options.seed, findings)
    mixed = in_seeded_order(files, options.seed)
    return [file for split in SPLITS for file in mixed if file.split == split]


class _Version:
    """The version while it grows, a few images in memory at a time."""

    def __init__(self, work: Path, source: Source, options: BuildOptions, findings: Findings) -> None:
        self._source = source
        self._options = options
        self._findings = findings
        self._samples: Counter[str] = Counter()
        self._categories: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
        self._statistics = ImageStatistics()
        self._label_statistics = LabelStatistics()
        self._first_with: dict[bytes, SourceFile] = {}
        self._folder = work / "version"
        (self._folder / "shards").mkdir(parents=True)
        self._writers = {
            split: ShardWriter(self._folder / "shards", split, options.limits.shard_bytes) for split in SPLITS
        }
        self._samples_path = self._folder / SAMPLES_NAME

    def add_all(self, archive: zipfile.ZipFile, files: list[SourceFile], on_image: Progress) -> None:
        """Checks every file; writes it for as long as no error has been found."""
        answers = examined_files(archive, self._source.labeller, files, self._options.limits)
        # No name and no time in the gzip header: the same upload gives the same bytes.
        with (
            quiet_decoders(),
            self._samples_path.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as lines,
        ):
            for done, examined in enumerate(answers, start=1):
                for note in examined.labels.notes:
                    tell = self._findings.bad_file if note.severity == "bad" else self._findings.warning
                    tell(note.code, note.reason, examined.file.member.name)
                if examined.facts is not None and examined.labels.usable:
                    self._add(examined, examined.facts, lines)
                on_image(done, len(files))
        for writer in self._writers.values():
            writer.close()

    def finish(self, ignored: int) -> BuiltVersion | None:
        """Judges the counts; None when there was any error."""
        splits = [split for split in SPLITS if self._samples[split] or split != "test"]
        classes = self._source.labeller.classes()
        class_counts = {split: [self._categories[split][i] for i in range(len(classes))] for split in splits}
        counts = {split: self._samples[split] for split in splits}
        counted = Counted(self._options.task, self._source.format, counts, class_counts)
        check_counts(counted, classes, self._findings)
        if self._findings.error_count:
            return None
        index = self._samples_path.read_bytes()
        keypoints = self._source.keypoints
        figures = self._label_statistics.as_json(classes, keypoints["names"] if keypoints else [])
        return BuiltVersion(
            format=self._source.format,
            layout=self._source.layout,
            split_here=not self._source.has_splits,
            keypoints=keypoints,
            classes=classes,
            counts=counts,
            class_counts=class_counts,
            shards=[shard for split in SPLITS for shard in self._writers[split].shards],
            samples_path=self._samples_path,
            samples_bytes=len(index),
            samples_sha256=hashlib.sha256(index).hexdigest(),
            samples_count=sum(counts.values()),
            ignored=ignored,
            statistics=self._statistics.as_json() | figures,
        )

    def _add(self, examined: Examined, facts: ImageFacts, lines: gzip.GzipFile) -> None:
        file, data, labels = examined.file, examined.data, examined.labels
        assert file.split is not None  # noqa: S101 - _ordered gave every file its split
        split = file.split
        digest = hashlib.sha256(data)
        self._note_copies(file, digest.digest())
        self._note_oddities(file, facts)
        number = self._samples[split]
        self._samples[split] += 1
        self._categories[split].update(labels.categories)
        if self._findings.error_count:
            return
        self._statistics.add(facts, split)
        self._label_statistics.add(labels, facts)
        sample_id = f"{split}-{number:08d}"
        members = [(f"{sample_id}.{facts.extension}", data)]
        if labels.mask is not None:
            members.append((f"{sample_id}.mask.png", labels.mask))
        stored = self._writers[split].add_sample(members)
        width, height = facts.upright_size
        sample: dict[str, Any] = {
            "id": sample_id,
            "split": split,
            "shard": stored[0].shard,
            "member": stored[0].member,
            "offset": stored[0].offset,
            "bytes": len(data),
            "width": width,
            "height": height,
            "sha256": digest.hexdigest(),
            **labels.fields,
            "source": file.member.name,
        }
        if labels.mask is not None:
            sample["mask"] = {
                "member": stored[1].member,
                "offset": stored[1].offset,
                "bytes": len(labels.mask),
                "sha256": hashlib.sha256(labels.mask).hexdigest(),
            }
        if facts.orientation != 1:
            sample["orientation"] = facts.orientation
        lines.write(json.dumps(sample, separators=(",", ":")).encode() + b"\n")

    def _note_copies(self, file: SourceFile, digest: bytes) -> None:
        """Copies spoil the figures: across splits val is no longer unseen, across classes one label is wrong."""
        first = self._first_with.setdefault(digest, file)
        if first is file:
            return
        other = printable(first.member.name)
        if first.stratum != file.stratum:
            reason = f"The same image has another class as {other}."
            self._findings.warning(Code.LABEL_CONFLICT, reason, file.member.name)
        if first.split != file.split:
            reason = f"The same image is in {first.split} as {other}; the figures of {file.split} will flatter."
            self._findings.warning(Code.DUPLICATE_IMAGE, reason, file.member.name)

    def _note_oddities(self, file: SourceFile, facts: ImageFacts) -> None:
        if facts.high_bit_depth:
            reason = "More than 8 bits a pixel: values above 255 are clipped when it is decoded for training."
            self._findings.warning(Code.HIGH_BIT_DEPTH, reason, file.member.name)
        if facts.multi_page:
            self._findings.warning(Code.MULTI_PAGE, "Only the first page of the image is used.", file.member.name)
