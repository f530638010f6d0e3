"""Captions: JSON lines, CSV, or COCO's captions file."""

from __future__ import annotations

import csv
import io
import itertools
import json
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from .annotation_spool import AnnotationSpool
from .archive import Member
from .caption_check import checked_captions
from .coco import coco_candidates, read_coco
from .findings import Code, printable
from .formats import CAPTIONING, expected
from .image_check import ImageFacts
from .inventory import ImageNames, Inventory, Reading, stem_of, suffix_of
from .labels import BadAnnotation, Labels, Source, SourceFile
from .limits import DEFAULT_LIMITS
from .split_names import SPLIT_NAMES, split_of_folders, split_of_stem

_IMAGE_COLUMNS = ("file_name", "filename", "image", "image_path", "path", "file")
_CAPTION_COLUMNS = ("captions", "caption", "text", "comment")
_LINE_BYTES = 1024 * 1024
_BREATHE_EVERY = 1000
_CORRUPT = "The file is damaged inside the zip (wrong checksum or length)."


def caption_files(inventory: Inventory) -> list[Member]:
    """JSON lines and CSV files."""
    return inventory.with_suffix("jsonl", "csv")


def read_captions(reading: Reading) -> Source | None:
    """The dataset. None, noted, when there is no caption file."""
    inventory, findings = reading.inventory, reading.findings
    members = caption_files(inventory)
    if not members and coco_candidates(inventory, CAPTIONING):
        return read_coco(reading)
    if not members:
        reason = f"The archive holds no caption file. {expected(CAPTIONING, 'captions')}"
        findings.error(Code.UNSUPPORTED_LAYOUT, reason)
        return None
    reader = _CaptionReader(reading, AnnotationSpool(reading.work / "annotations.spool"))
    for member in members:
        try:
            reader.read(member)
        except BadAnnotation as bad:
            findings.error(bad.code, bad.reason, member.name)
            return None
    inventory.note_strays({member.name for member in members}, findings)
    files = reader.files()
    has_splits = any(file.split is not None for file in files)
    return Source("captions", "splits" if has_splits else "no splits", files, has_splits, reader)


class _CaptionReader:
    """Gathers the captions of each image; also tells them to the builder."""

    def __init__(self, reading: Reading, spool: AnnotationSpool) -> None:
        self._reading = reading
        self._names = ImageNames(reading.inventory.images)
        self._spool = spool
        self._limits = reading.limits
        self._findings = reading.findings
        self._split_of: dict[str, str | None] = {}

    def read(self, member: Member) -> None:
        """One file, line by line. Raises BadAnnotation."""
        split = split_of_stem(stem_of(member)) or split_of_folders(member.parts[:-1])
        try:
            with self._reading.archive.open(member.info) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
                rows = _csv_rows(text) if suffix_of(member) == "csv" else _json_rows(text)
                for number, row in rows:
                    if number % _BREATHE_EVERY == 0:
                        self._reading.breathe()
                    self._add(member, split, f"line {number}", row)
        except UnicodeDecodeError:
            raise BadAnnotation(Code.ANNOTATION_CORRUPT, "The file is not UTF-8 text.") from None
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError):
            raise BadAnnotation(Code.FILE_CORRUPT, _CORRUPT) from None

    def files(self) -> list[SourceFile]:
        """Every image with a caption; warns about the others."""
        found = []
        for member in self._reading.inventory.images:
            if member.name in self._split_of:
                found.append(SourceFile(member, self._split_of[member.name], key=member.name))
            else:
                reason = "The image has no caption; it was left out."
                self._findings.warning(Code.IMAGE_NOT_ANNOTATED, reason, member.name)
        return found

    def classes(self) -> list[str]:
        """Captioning has no classes."""
        return []

    def collect(self, file: SourceFile) -> list[str]:
        """The captions of the image, as JSON."""
        return self._spool.read(file.key)

    def label(self, file: SourceFile, collected: list[str], facts: ImageFacts) -> Labels:
        """Captions in the order of the files."""
        labels = Labels()
        given = [caption for text in collected for caption in json.loads(text)]
        checked_captions(given, self._limits, labels)
        return labels

    def _add(self, member: Member, split: str | None, where: str, row: dict[str, Any]) -> None:
        name = next((row[key] for key in _IMAGE_COLUMNS if isinstance(row.get(key), str) and row[key]), None)
        value = next((row[key] for key in _CAPTION_COLUMNS if row.get(key) is not None), None)
        if name is None or value is None:
            reason = f"{where}: expected file_name and text (or caption, captions)."
            self._findings.bad_file(Code.ROW_INVALID, reason, member.name)
            return
        told = row.get("split")
        own = SPLIT_NAMES.get(told.strip().lower()) if isinstance(told, str) else None
        meant = self._names.find(name, member.parts[:-1], own or split)
        if len(meant) != 1:
            code = Code.IMAGE_AMBIGUOUS if meant else Code.IMAGE_MISSING
            what = f"may mean {len(meant)} images; write its folder too" if meant else "is not in the archive"
            self._findings.bad_file(code, f"{where}: the image '{printable(name)}' {what}.", member.name)
            return
        image = meant[0]
        place = own or split or split_of_folders(image.parts[:-1])
        if self._split_of.setdefault(image.name, place) != place:
            reason = f"{where}: the image '{printable(name)}' is in two splits."
            self._findings.bad_file(Code.DUPLICATE_ID, reason, member.name)
            return
        if self._spool.count(image.name) <= self._limits.captions:
            captions = value if isinstance(value, list) else [value]
            self._spool.add(image.name, json.dumps(captions[: self._limits.captions + 1]))


def _json_rows(text: io.TextIOWrapper) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(text), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except RecursionError:
            raise BadAnnotation(Code.ANNOTATION_BOMB, f"Line {number} is nested too deeply.") from None
        except ValueError:
            raise BadAnnotation(Code.ANNOTATION_CORRUPT, f"Line {number} is no JSON object.") from None
        if not isinstance(row, dict):
            raise BadAnnotation(Code.ANNOTATION_CORRUPT, f"Line {number} is no JSON object.")
        yield number, row


def _csv_rows(text: io.TextIOWrapper) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows by the names in the first line; comma, semicolon, tab or bar between them, whichever that line has most."""
    lines = _lines(text)
    first = next(lines, "")
    delimiter = max(",;\t|", key=first.count)
    try:
        header = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
        for number, values in enumerate(csv.reader(lines, delimiter=delimiter), start=2):
            if any(value.strip() for value in values):
                yield number, dict(zip(header, values, strict=False))
    except csv.Error as error:
        raise BadAnnotation(Code.ANNOTATION_CORRUPT, f"The CSV is damaged: {error}.") from None


def _lines(text: io.TextIOWrapper, most: int = DEFAULT_LIMITS.annotations) -> Iterator[str]:
    """Lines, bounded in length and number. Raises BadAnnotation."""
    for count in itertools.count(1):
        line = text.readline(_LINE_BYTES)
        if not line:
            return
        if count > most:
            raise BadAnnotation(Code.ANNOTATION_TOO_LARGE, f"The file has more than {most} lines.")
        if len(line) >= _LINE_BYTES:
            raise BadAnnotation(Code.ANNOTATION_TOO_LARGE, f"A line has more than {_LINE_BYTES} characters.")
        yield line
