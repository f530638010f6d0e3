"""Segmentation masks: images and masks in two trees that agree but for one folder's name."""

from __future__ import annotations

import threading
import zipfile
from collections import Counter
from collections.abc import Iterable

from .archive import Member
from .findings import Code, Findings
from .formats import SEMANTIC, expected
from .image_check import ImageFacts
from .inventory import Inventory, Reading, read_small, stem_of
from .labels import Labels, Source, SourceFile
from .limits import Limits
from .mask_classes import MaskClasses, read_mask_classes
from .split_names import split_of_folders

_IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages", "leftimg8bit"})
_MASK_FOLDERS = frozenset(
    {"masks", "mask", "labels", "annotations", "segmentationclass", "segmentation", "gtfine", "labelids"}
)
# Ends that tools put behind the image's name.
_MASK_ENDS = ("_mask", "-mask", "_label", "_labels", "_seg", "_gtfine_labelids")
_IMAGE_ENDS = ("_leftimg8bit",)

Place = tuple[str | None, str]


def mask_folders(inventory: Inventory) -> list[Member]:
    """The files below a folder that is named like one of masks."""
    return [member for member in inventory.images if _is_mask(member)]


def read_masks(reading: Reading) -> Source | None:
    """The dataset. None, noted, when there is no pair of image and mask, or the classes are wrong."""
    inventory, limits, findings = reading.inventory, reading.limits, reading.findings
    masks = mask_folders(inventory)
    names = {member.name for member in masks}
    images = [member for member in inventory.images if member.name not in names]
    if not masks or not images:
        reason = f"Found {len(images)} images and {len(masks)} masks. {expected(SEMANTIC, 'masks')}"
        findings.error(Code.UNSUPPORTED_LAYOUT, reason)
        return None
    classes = read_mask_classes(reading)
    if classes is None:
        return None
    inventory.note_strays({classes.file} if classes.file else set(), findings)
    files = _pairs(images, masks, findings)
    has_splits = any(file.split is not None for file in files)
    layout = "splits" if has_splits else "no splits"
    return Source("masks", layout, files, has_splits, MaskLabeller(reading.archive, classes, limits))


class MaskLabeller:
    """Decodes masks. Without class names there are as many classes as the largest value asks for."""

    def __init__(self, archive: zipfile.ZipFile, classes: MaskClasses, limits: Limits) -> None:
        self._archive = archive
        self._classes = classes
        self._limits = limits
        self._largest = 0
        self._lock = threading.Lock()

    def classes(self) -> list[str]:
        """The given names, or generated ones."""
        return self._classes.names or [f"class_{index}" for index in range(self._largest + 1)]

    def collect(self, file: SourceFile) -> bytes:
        """The mask's file. Raises BadAnnotation."""
        return read_small(self._archive, file.key, self._limits.file_bytes)

    def label(self, file: SourceFile, collected: bytes, facts: ImageFacts) -> Labels:
        """The canonical mask."""
        # numpy takes a tenth of a second to import, and only masks need it.
        from .mask_pixels import canonical_mask

        labels = Labels()
        canonical_mask(collected, facts, self._classes, self._limits, labels)
        with self._lock:
            self._largest = max(self._largest, *labels.categories, 0)
        return labels


def _is_mask(member: Member) -> bool:
    """The innermost folder whose name says what lies in it decides."""
    for part in reversed(member.parts[:-1]):
        if part.lower() in _IMAGE_FOLDERS:
            return False
        if part.lower() in _MASK_FOLDERS:
            return True
    return False


def _pairs(images: list[Member], masks: list[Member], findings: Findings) -> list[SourceFile]:
    by_place: dict[Place, Member] = {}
    for member in masks:
        place = _place(member, _MASK_ENDS)
        other = by_place.setdefault(place, member)
        if other is not member:
            findings.bad_file(Code.DUPLICATE_STEM, f"Two masks have this name; the other is {other.name}.", member.name)
    twice = Counter(_place(member, _IMAGE_ENDS) for member in images)
    files = []
    used = set()
    for member in images:
        place = _place(member, _IMAGE_ENDS)
        used.add(place)
        if twice[place] > 1:
            reason = "Two images have the same name, so they share one mask."
            findings.bad_file(Code.DUPLICATE_STEM, reason, member.name)
        elif place not in by_place:
            findings.warning(Code.IMAGE_NOT_ANNOTATED, "The image has no mask; it was left out.", member.name)
        else:
            files.append(SourceFile(member, place[0], key=by_place[place]))
    for place, member in by_place.items():
        if place not in used:
            findings.bad_file(Code.ANNOTATION_WITHOUT_IMAGE, "The mask belongs to no image.", member.name)
    return files


def _place(member: Member, ends: Iterable[str]) -> Place:
    """Split and bare name: what an image and its mask have in common. Folders in between belong to the name."""
    stem = stem_of(member)
    for end in ends:
        if stem.lower().endswith(end):
            stem = stem[: -len(end)]
            break
    folders = [part for part in member.parts[:-1] if part.lower() not in _IMAGE_FOLDERS | _MASK_FOLDERS]
    return split_of_folders(member.parts[:-1]), "/".join((*folders, stem))
