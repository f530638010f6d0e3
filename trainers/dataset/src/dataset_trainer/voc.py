"""Pascal VOC: one XML file an image, splits by ImageSets or by folders. Corners count from 1 and are inclusive."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from .annotation_spool import AnnotationSpool
from .archive import Member
from .class_names import checked_class_names, clean_text
from .findings import Code, Findings, printable
from .formats import DETECTION, expected
from .geometry import frame_of
from .image_check import ImageFacts
from .inventory import Inventory, Reading, name_parts, read_small, read_text, stem_of
from .labels import BadAnnotation, Labels, Source, SourceFile
from .object_check import ObjectRules, RawObject, checked_objects, within_limit
from .safe_xml import Element, parse_xml
from .split_names import SPLIT_NAMES, split_of_folders


def read_voc(reading: Reading) -> Source | None:
    """The dataset. None, noted, when there is no annotation or no class."""
    inventory, limits, findings = reading.inventory, reading.limits, reading.findings
    spool = AnnotationSpool(reading.work / "annotations.spool")
    texts = _Annotations(reading, spool)
    if not texts.read:
        reason = f"No XML file in the archive is a VOC annotation. {expected(DETECTION, 'voc')}"
        findings.error(Code.UNSUPPORTED_LAYOUT, reason)
        return None
    names = checked_class_names(sorted(texts.classes), texts.read[0].name, limits, findings) if texts.classes else None
    if names is None:
        if not texts.classes:
            findings.error(Code.NO_OBJECTS, "No annotation holds an object.")
        return None
    splits = _image_sets(reading)
    files = _files(inventory, texts, splits, findings)
    has_splits = any(file.split is not None for file in files)
    labeller = _VocLabeller(spool, names, ObjectRules(DETECTION, limits))
    return Source(
        "voc", "ImageSets" if splits else "folders" if has_splits else "no splits", files, has_splits, labeller
    )


class _Annotations:
    """All annotations, each read once: the classes are only known at the end."""

    def __init__(self, reading: Reading, spool: AnnotationSpool) -> None:
        limits, findings = reading.limits, reading.findings
        self.read: list[Member] = []
        self.classes: set[str] = set()
        # Members that could not be read: their images are no background.
        self.broken: set[str] = set()
        for member in reading.inventory.with_suffix("xml"):
            reading.breathe()
            try:
                root = parse_xml(read_small(reading.archive, member, limits.text_bytes), limits)
            except BadAnnotation as bad:
                findings.bad_file(bad.code, bad.reason, member.name)
                self.broken.add(member.name)
                continue
            if root.name != "annotation":
                findings.warning(Code.STRAY_FILE, "The XML file is no VOC annotation and was ignored.", member.name)
                continue
            record = _record(root)
            self.classes.update(name for entry in record["objects"] if (name := entry["name"]))
            spool.add(member.name, json.dumps(record))
            self.read.append(member)


def _record(root: Element) -> dict[str, Any]:
    """The stated size and the objects: class, corners as text, whether it is a difficult one."""
    size = root.child("size") or Element("size")
    objects = []
    for entry in root.children:
        if entry.name == "object":
            box = entry.child("bndbox") or Element("bndbox")
            corners = [box.value(name) for name in ("xmin", "ymin", "xmax", "ymax")]
            name = clean_text(entry.value("name"))
            objects.append({"name": name, "corners": corners, "difficult": entry.value("difficult") == "1"})
    stated = [size.value("width"), size.value("height")]
    numbers = [int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0 for text in stated]
    return {
        "size": numbers if all(numbers) else None,
        "objects": objects,
        "filename": clean_text(root.value("filename")),
    }


class _VocLabeller:
    """Turns the record of an annotation into objects. Difficult ones become crowds: neither trained on nor counted."""

    def __init__(self, spool: AnnotationSpool, names: list[str], rules: ObjectRules) -> None:
        self._spool = spool
        self._names = names
        self._index_of = {name: index for index, name in enumerate(names)}
        self._rules = rules

    def classes(self) -> list[str]:
        """All names that objects have, sorted."""
        return self._names

    def collect(self, file: SourceFile) -> list[str]:
        """The record, as JSON; nothing for a background image."""
        return [] if file.key is None else self._spool.read(file.key)

    def label(self, file: SourceFile, collected: list[str], facts: ImageFacts) -> Labels:
        """Objects in pixels that count from 0."""
        labels = Labels()
        record = json.loads(collected[0]) if collected else {"size": None, "objects": []}
        stated = record["size"]
        frame = frame_of(facts, (stated[0], stated[1]) if stated else None, labels)
        if frame is None:
            return labels
        raws = []
        if not within_limit(len(record["objects"]), self._rules, labels):
            return labels
        for number, entry in enumerate(record["objects"], start=1):
            raw = self._raw(f"object {number}", entry, labels)
            if raw is not None:
                raws.append(raw)
        checked_objects(raws, frame, self._rules, labels)
        return labels

    def _raw(self, where: str, entry: dict[str, Any], labels: Labels) -> RawObject | None:
        index = self._index_of.get(entry["name"])
        if index is None:
            labels.bad(Code.CATEGORY_UNKNOWN, f"{where}: the object has no name.")
            return None
        try:
            left, top, right, bottom = (float(text) for text in entry["corners"])
        except ValueError:
            reason = f"{where}: bndbox needs xmin, ymin, xmax and ymax, each a number."
            labels.bad(Code.NOT_A_NUMBER, reason)
            return None
        if right < left or bottom < top:
            labels.bad(Code.BOX_INVALID, f"{where}: xmax or ymax is smaller than xmin or ymin.")
            return None
        box = (left - 1, top - 1, right - left + 1, bottom - top + 1)
        return RawObject(where, index, box, crowd=entry["difficult"])


def _image_sets(reading: Reading) -> dict[str, tuple[str, str]]:
    """Stem → (split, list) from ImageSets/…/{train,val,test}.txt. Lists of single classes and trainval are passed."""
    limits, findings = reading.limits, reading.findings
    found: dict[str, tuple[str, str]] = {}
    for member in reading.inventory.with_suffix("txt"):
        split = SPLIT_NAMES.get(stem_of(member).lower())
        if split is None or "imagesets" not in [part.lower() for part in member.parts[:-1]]:
            continue
        try:
            lines = read_text(reading.archive, member, limits.annotation_piece_bytes).splitlines()
        except BadAnnotation as bad:
            findings.error(bad.code, bad.reason, member.name)
            continue
        for line in filter(None, map(str.strip, lines)):
            name = (name_parts(line.split()[0]) or [line])[-1]
            other = found.setdefault(name, (split, member.name))
            if other[0] != split:
                findings.bad_file(
                    Code.DUPLICATE_ID, f"'{printable(name)}' is in {other[0]} and in {split}.", member.name
                )
    return found


def _files(
    inventory: Inventory, texts: _Annotations, splits: dict[str, tuple[str, str]], findings: Findings
) -> list[SourceFile]:
    beside = _by_stem(texts.read + [m for m in inventory.with_suffix("xml") if m.name in texts.broken])
    images = [m for m in inventory.images if "segmentation" not in " ".join(m.parts[:-1]).lower()]
    twice = Counter((split_of_folders(member.parts[:-1]), stem_of(member)) for member in images)
    used: set[str] = set()
    files = []
    for member in images:
        stem = stem_of(member)
        split = split_of_folders(member.parts[:-1])
        if twice[split, stem] > 1:
            reason = "Two images have the same name, so they share one annotation."
            findings.bad_file(Code.DUPLICATE_STEM, reason, member.name)
            used.update(found.name for found in beside[stem])
            continue
        annotation = _annotation_of(member, beside[stem])
        if annotation is not None:
            used.add(annotation.name)
            if annotation.name in texts.broken:
                continue
        if splits:
            if stem not in splits:
                reason = "No list of ImageSets/Main holds the image; it was left out."
                findings.warning(Code.IMAGE_NOT_ANNOTATED, reason, member.name)
                continue
            split = splits[stem][0]
        if annotation is None:
            findings.warning(Code.BACKGROUND_IMAGE, "The image has no XML file; it counts as background.", member.name)
        files.append(SourceFile(member, split, key=annotation.name if annotation else None))
    for member in texts.read:
        if member.name not in used:
            reason = "The annotation belongs to no image in the archive."
            findings.bad_file(Code.ANNOTATION_WITHOUT_IMAGE, reason, member.name)
    present = {stem_of(member) for member in images}
    for stem, (_, where) in splits.items():
        if stem not in present:
            findings.bad_file(Code.IMAGE_MISSING, f"The image '{printable(stem)}' is not in the archive.", where)
    known = {m.name for m in inventory.with_suffix("xml")}
    known |= {m.name for m in inventory.with_suffix("txt") if "imagesets" in [part.lower() for part in m.parts]}
    inventory.note_strays(known, findings)
    return files


def _annotation_of(image: Member, candidates: list[Member]) -> Member | None:
    """The annotation of the same name: the one in the same split folder when several splits have it."""
    split = split_of_folders(image.parts[:-1])
    return next((m for m in candidates if split_of_folders(m.parts[:-1]) == split), None) or (
        candidates[0] if len(candidates) == 1 and split_of_folders(candidates[0].parts[:-1]) is None else None
    )


def _by_stem(members: list[Member]) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        found[stem_of(member)].append(member)
    return found
