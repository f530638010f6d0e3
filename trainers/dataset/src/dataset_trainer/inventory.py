"""The files of an archive by what they are, and images found by the names that annotation files give them."""

from __future__ import annotations

import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .archive import Listing, Member, read_member
from .findings import Code, Findings
from .labels import BadAnnotation
from .limits import Limits
from .split_names import split_of_folders

_IMAGE_SUFFIXES = frozenset({"jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff"})
_OTHER_IMAGE_SUFFIXES = frozenset({"gif", "heic", "heif", "avif", "jxl", "jp2", "svg", "psd", "ico", "raw", "dng"})
_ARCHIVE_SUFFIXES = frozenset({"zip", "tar", "gz", "tgz", "bz2", "xz", "7z", "rar", "zst"})


class Inventory:
    """Images and other files of a listing. Nested archives and unsupported images are noted when it is made."""

    def __init__(self, listing: Listing, findings: Findings) -> None:
        self.images: list[Member] = []
        self.others: list[Member] = []
        self.folders = listing.folders
        for member in listing.files:
            suffix = suffix_of(member)
            if suffix in _IMAGE_SUFFIXES:
                self.images.append(member)
            elif suffix in _OTHER_IMAGE_SUFFIXES:
                reason = f".{suffix} is not supported; use JPEG, PNG, WebP, BMP or TIFF."
                findings.bad_file(Code.UNSUPPORTED_FORMAT, reason, member.name)
            elif suffix in _ARCHIVE_SUFFIXES:
                reason = "An archive in the archive is not opened; unpack it."
                findings.bad_file(Code.NESTED_ARCHIVE, reason, member.name)
            else:
                self.others.append(member)

    def with_suffix(self, *suffixes: str) -> list[Member]:
        """The files that are no images and end like that, in the order of their names."""
        return sorted((m for m in self.others if suffix_of(m) in suffixes), key=lambda member: member.name)

    def note_strays(self, used: set[str], findings: Findings) -> None:
        """Warns about every file that is no image and whose name is not in `used`."""
        for member in self.others:
            if member.name not in used:
                findings.warning(Code.STRAY_FILE, "The file is not an image and was ignored.", member.name)


@dataclass(frozen=True, slots=True)
class Reading:
    """What every format's reader works with.

    `work` is an empty folder on the local disk. `breathe` is called now and then while annotations are read, before
    the first image; it may raise to stop the work.
    """

    archive: zipfile.ZipFile
    inventory: Inventory
    task: str
    work: Path
    limits: Limits
    findings: Findings
    breathe: Callable[[], None]


class ImageNames:
    """Finds the image that an annotation file means by a name, which is rarely the path in the archive."""

    def __init__(self, images: list[Member]) -> None:
        self._by_last: dict[str, list[Member]] = defaultdict(list)
        for member in images:
            self._by_last[member.parts[-1]].append(member)

    def find(self, name: str, near: tuple[str, ...], split: str | None) -> list[Member]:
        """The images that `name` may mean: none, one, or several when that stays open.

        The one whose path agrees with most of the name's end wins; then one in or below the folder `near`; then one
        in a folder named after `split`. An image in another split's folder is never meant by a bare file name.
        """
        parts = name_parts(name)
        candidates = self._by_last.get(parts[-1], []) if parts else []
        scored = [(_agreement(member.parts, parts), member) for member in candidates]
        if split is not None:
            scored = [(score, m) for score, m in scored if score > 1 or split_of_folders(m.parts[:-1]) in (None, split)]
        best = max((score for score, _ in scored), default=0)
        found = [member for score, member in scored if score == best]
        for rule in (
            lambda member: member.parts[: len(near)] == near,
            lambda member: member.parts[:-1] == near,
            lambda member: split_of_folders(member.parts[:-1]) == split,
        ):
            if len(found) > 1:
                found = [member for member in found if rule(member)] or found
        return found


def read_text(archive: zipfile.ZipFile, member: Member, limit: int) -> str:
    """A small text file as a whole, UTF-8 with or without a byte order mark. Raises BadAnnotation."""
    data = read_small(archive, member, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadAnnotation(Code.ANNOTATION_CORRUPT, "The file is not UTF-8 text.") from None


def read_small(archive: zipfile.ZipFile, member: Member, limit: int) -> bytes:
    """A file of at most `limit` bytes. Raises BadAnnotation."""
    if member.info.file_size > limit:
        reason = f"The file is {member.info.file_size} bytes; the limit for its kind is {limit}."
        raise BadAnnotation(Code.ANNOTATION_TOO_LARGE, reason)
    try:
        return read_member(archive, member)
    except zipfile.BadZipFile:
        reason = "The file is damaged inside the zip (wrong checksum or length)."
        raise BadAnnotation(Code.FILE_CORRUPT, reason) from None


def text_limit(member: Member, limits: Limits) -> int:
    """How large a text file that is read as a whole may be."""
    return limits.yaml_bytes if suffix_of(member) in ("yaml", "yml") else limits.text_bytes


def suffix_of(member: Member) -> str:
    """The lower-case end of the file name after its last dot; empty without one."""
    stem, dot, suffix = member.parts[-1].rpartition(".")
    return suffix.lower() if dot and stem else ""


def stem_of(member: Member) -> str:
    """The file name without its last suffix."""
    return member.parts[-1].rpartition(".")[0] or member.parts[-1]


def name_parts(name: str) -> list[str]:
    """The components of a path written by somebody else's tool, without drives, dots and parents."""
    slashed = unicodedata.normalize("NFC", name).replace("\\", "/")
    return [part for part in slashed.split("/") if part not in ("", ".", "..") and not part.endswith(":")]


def _agreement(path: tuple[str, ...], name: list[str]) -> int:
    """How many components at the end of both are the same."""
    count = 0
    for one, other in zip(reversed(path), reversed(name), strict=False):
        if one != other:
            break
        count += 1
    return count
