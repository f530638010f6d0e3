"""Finds the dataset in a list of files: `<split>/<class>/*` or `<class>/*`, also below a common top folder."""

from __future__ import annotations

from dataclasses import dataclass

from .archive import Listing, Member
from .entry_names import fold
from .findings import Code, Findings, printable

SPLITS = ("train", "val", "test")
_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_IMAGE_SUFFIXES = frozenset({"jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff"})
_OTHER_IMAGE_SUFFIXES = frozenset({"gif", "heic", "heif", "avif", "jxl", "jp2", "svg", "psd", "ico", "raw", "dng"})
_ARCHIVE_SUFFIXES = frozenset({"zip", "tar", "gz", "tgz", "bz2", "xz", "7z", "rar", "zst"})
_EXPECTED = "Expected <split>/<class>/<image> (splits: train, val, test) or <class>/<image>."


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One image file and where it belongs. `split` is None while the upload leaves the split to us."""

    member: Member
    split: str | None
    class_name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The labelled files and the class names in index order (sorted by code point, as torchvision does)."""

    name: str
    files: list[LabelledFile]
    classes: list[str]


def find_layout(listing: Listing, findings: Findings) -> Layout | None:
    """Labels every image file of the listing. Notes findings; None when there is nothing to look at further."""
    images = _image_files(listing.files, findings)
    if not images:
        findings.error(Code.UNSUPPORTED_LAYOUT, f"The archive holds no image files. {_EXPECTED}")
        return None
    depth = _common_folders(images)
    inner = [(member, member.parts[depth:]) for member in images]
    folders = [parts[depth:] for parts in listing.folders if parts[:depth] == images[0].parts[:depth]]
    with_splits = _has_split_folders([parts for _, parts in inner], findings)
    if with_splits is None:
        return None
    files = _labelled(inner, with_splits, findings)
    _check_empty_folders(files, folders, with_splits, findings)
    return Layout("split/class" if with_splits else "class", files, _classes(files, findings))


def check_counts(counts: dict[str, list[int]], classes: list[str], findings: Findings) -> None:
    """Judges the usable images: `counts[split][class index]`. Notes empty splits and classes."""
    if len(classes) < 2:
        findings.error(Code.TOO_FEW_CLASSES, f"A classifier needs two classes or more; found {len(classes)}.")
    for split in ("train", "val"):
        if not sum(counts.get(split, [])):
            findings.error(Code.EMPTY_SPLIT, f"The split '{split}' has no usable image. {_EXPECTED}", split)
    if not sum(counts.get("train", [])):
        return
    for index, name in enumerate(classes):
        if counts["train"][index]:
            if not counts["val"][index] and any(counts["val"]):
                reason = "The class has no image in val; it is trained, not measured."
                findings.warning(Code.CLASS_MISMATCH, reason, name)
        elif any(counts[split][index] for split in counts):
            findings.error(Code.CLASS_MISMATCH, "The class has images in val or test but none in train.", name)
        else:
            findings.error(Code.EMPTY_CLASS, "The class has no usable image.", name)


def _image_files(members: list[Member], findings: Findings) -> list[Member]:
    images = []
    for member in members:
        suffix = member.parts[-1].rpartition(".")[2].lower()
        if suffix in _IMAGE_SUFFIXES:
            images.append(member)
        elif suffix in _OTHER_IMAGE_SUFFIXES:
            findings.bad_file(
                Code.UNSUPPORTED_FORMAT, f".{suffix} is not supported; use JPEG, PNG, WebP, BMP or TIFF.", member.name
            )
        elif suffix in _ARCHIVE_SUFFIXES:
            findings.bad_file(Code.NESTED_ARCHIVE, "An archive in the archive is not opened; unpack it.", member.name)
        else:
            findings.warning(Code.STRAY_FILE, "The file is not an image and was ignored.", member.name)
    return images


def _common_folders(images: list[Member]) -> int:
    """How many leading folders all images share and still leave a class folder behind; a split is never skipped."""
    depth = 0
    first = images[0].parts
    shortest = min(len(member.parts) for member in images)
    while shortest - depth > 2 and first[depth].lower() not in _SPLIT_NAMES:
        if any(member.parts[depth] != first[depth] for member in images):
            break
        depth += 1
    return depth


def _has_split_folders(paths: list[tuple[str, ...]], findings: Findings) -> bool | None:
    """True, False, or None (noted) when the paths fit neither layout."""
    tops = {parts[0] for parts in paths if len(parts) > 1}
    if not tops:
        findings.error(Code.UNSUPPORTED_LAYOUT, f"The images lie in no class folder. {_EXPECTED}")
        return None
    split_tops = {top for top in tops if top.lower() in _SPLIT_NAMES}
    if not split_tops:
        return False
    # A class may well be called "train" (a vehicle): only folders with class folders inside are splits.
    if not any(parts[0] in split_tops and len(parts) > 2 for parts in paths):
        if split_tops != tops:
            return False
        findings.error(Code.UNSUPPORTED_LAYOUT, f"The split folders hold images but no class folders. {_EXPECTED}")
        return None
    if split_tops != tops:
        odd = sorted(tops - split_tops)[0]
        findings.error(Code.UNSUPPORTED_LAYOUT, f"There are splits and other folders side by side. {_EXPECTED}", odd)
        return None
    return True


def _labelled(inner: list[tuple[Member, tuple[str, ...]]], with_splits: bool, findings: Findings) -> list[LabelledFile]:
    files = []
    class_at = 1 if with_splits else 0
    for member, parts in inner:
        if len(parts) < class_at + 2:
            reason = f"The image lies outside of the class folders. {_EXPECTED}"
            findings.bad_file(Code.MISPLACED_FILE, reason, member.name)
            continue
        split = _SPLIT_NAMES[parts[0].lower()] if with_splits else None
        files.append(LabelledFile(member, split, parts[class_at]))
    return files


def _check_empty_folders(
    files: list[LabelledFile], folders: list[tuple[str, ...]], with_splits: bool, findings: Findings
) -> None:
    """A class folder that exists but holds no image in any split: most likely a mistake in packing."""
    class_at = 1 if with_splits else 0
    used = {file.class_name for file in files}
    named = {
        parts[class_at]
        for parts in folders
        if len(parts) > class_at and (not with_splits or parts[0].lower() in _SPLIT_NAMES)
    }
    for name in sorted(named - used):
        findings.error(Code.EMPTY_CLASS, "The class folder holds no image.", name)


def _classes(files: list[LabelledFile], findings: Findings) -> list[str]:
    names = sorted({file.class_name for file in files})
    spelling: dict[str, str] = {}
    for name in names:
        other = spelling.setdefault(fold(name), name)
        if other != name:
            reason = f"The class differs from '{printable(other)}' only in upper and lower case."
            findings.error(Code.CASE_CLASH, reason, name)
    return names
