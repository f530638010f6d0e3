"""One COCO JSON file, read piece by piece: images and categories in memory, annotations on the disk."""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from .annotation_spool import AnnotationSpool
from .archive import Member
from .findings import Code, Findings
from .inventory import Reading
from .json_parts import Part, json_parts
from .labels import BadAnnotation
from .limits import Limits

Id = int | str
_BREATHE_EVERY = 1000


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An entry of `images`; `size` is (width, height) where it states one."""

    file_name: str
    size: tuple[int, int] | None


@dataclass(slots=True)
class CocoFile:
    """What a file holds. Annotations lie in the spool under (`number`, image id); `used` counts them by category."""

    member: Member
    number: int
    split: str | None
    images: dict[Id, CocoImage] = field(default_factory=dict)
    categories: dict[Id, dict[str, Any]] = field(default_factory=dict)
    used: Counter[Any] = field(default_factory=Counter)
    annotations: Counter[Id] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)

    @property
    def is_coco(self) -> bool:
        """Whether the file has what makes it COCO."""
        return "images" in self.keys and bool(self.keys & {"annotations", "categories"})


def read_coco_file(reading: Reading, file: CocoFile, spool: AnnotationSpool) -> None:
    """Fills `file`. Raises BadAnnotation when it cannot be read to its end; notes entries that are wrong."""
    limits, findings = reading.limits, reading.findings
    name = file.member.name
    try:
        stream = reading.archive.open(file.member.info)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError):
        raise BadAnnotation(Code.FILE_CORRUPT, "The file is damaged inside the zip.") from None
    with stream:
        for number, part in enumerate(json_parts(stream, limits.annotation_piece_bytes)):
            if number > limits.annotations:
                reason = f"The file has more than {limits.annotations} entries."
                raise BadAnnotation(Code.ANNOTATION_TOO_LARGE, reason)
            if number % _BREATHE_EVERY == 0:
                reading.breathe()
            file.keys.add(part.key)
            if not part.item:
                continue
            problem: tuple[Code, str] | None = None
            if part.key == "images":
                problem = _add_image(file, part.value, limits)
            elif part.key == "categories":
                problem = _add_category(file, part.value, limits)
            elif part.key == "annotations":
                problem = _add_annotation(file, part, spool, limits)
            if problem is not None:
                findings.bad_file(*problem, name)
    _check_image_ids(file, findings)


def _add_image(file: CocoFile, value: Any, limits: Limits) -> tuple[Code, str] | None:
    entry = value if isinstance(value, dict) else {}
    found, name = entry.get("id"), entry.get("file_name")
    if not _is_id(found) or not isinstance(name, str) or not name:
        return Code.ANNOTATION_CORRUPT, f"Entry {len(file.images) + 1} of images needs an id and a file_name."
    if found in file.images:
        return Code.DUPLICATE_ID, f"The image id {found!r} is there twice."
    if len(file.images) >= limits.images:
        raise BadAnnotation(Code.ANNOTATION_TOO_LARGE, f"The file lists more than {limits.images} images.")
    width, height = entry.get("width"), entry.get("height")
    stated = None
    if type(width) is int and type(height) is int and width > 0 and height > 0:
        stated = (width, height)
    file.images[found] = CocoImage(name, stated)
    return None


def _add_category(file: CocoFile, value: Any, limits: Limits) -> tuple[Code, str] | None:
    entry = value if isinstance(value, dict) else {}
    found = entry.get("id")
    if not _is_id(found):
        return Code.ANNOTATION_CORRUPT, "An entry of categories has no id."
    if found in file.categories:
        return Code.DUPLICATE_ID, f"The category id {found!r} is there twice."
    if len(file.categories) >= limits.classes:
        raise BadAnnotation(Code.TOO_MANY_CLASSES, f"The file has more than {limits.classes} categories.")
    file.categories[found] = entry
    return None


def _add_annotation(file: CocoFile, part: Part, spool: AnnotationSpool, limits: Limits) -> tuple[Code, str] | None:
    image = part.value.get("image_id") if isinstance(part.value, dict) else None
    if not _is_id(image):
        return Code.ANNOTATION_CORRUPT, f"Annotation {sum(file.annotations.values()) + 1} has no image_id."
    file.annotations[image] += 1
    category = part.value.get("category_id")
    if _is_id(category):
        file.used[category] += 1
    if file.annotations[image] <= limits.objects + 1:
        spool.add((file.number, image), part.text)
    return None


def _check_image_ids(file: CocoFile, findings: Findings) -> None:
    """Annotations may come before the images in the file, so this waits for its end."""
    for image, count in file.annotations.items():
        if image not in file.images:
            reason = f"{count} annotations belong to the image id {image!r}, which is not in images."
            findings.bad_file(Code.ANNOTATION_WITHOUT_IMAGE, reason, file.member.name)


def _is_id(value: Any) -> TypeGuard[Id]:
    return type(value) is int or (isinstance(value, str) and 0 < len(value) <= 200)
