"""Image folders: `<split>/<class>/*` or `<class>/*`, also below a common top folder."""

from __future__ import annotations

from .archive import Member
from .entry_names import fold
from .findings import Code, Findings, printable
from .formats import CLASSIFICATION, expected
from .image_check import ImageFacts
from .inventory import Inventory
from .labels import Labels, Source, SourceFile
from .split_names import SPLIT_NAMES

_EXPECTED = expected(CLASSIFICATION)


def read_image_folder(inventory: Inventory, findings: Findings) -> Source | None:
    """Labels every image by its folder. Notes findings; None when there is nothing to look at further."""
    images = inventory.images
    inventory.note_strays(set(), findings)
    if not images:
        findings.error(Code.UNSUPPORTED_LAYOUT, f"The archive holds no image files. {_EXPECTED}")
        return None
    depth = _common_folders(images)
    inner = [(member, member.parts[depth:]) for member in images]
    folders = [parts[depth:] for parts in inventory.folders if parts[:depth] == images[0].parts[:depth]]
    with_splits = _has_split_folders([parts for _, parts in inner], findings)
    if with_splits is None:
        return None
    files = _labelled(inner, with_splits, findings)
    _check_empty_folders(files, folders, with_splits, findings)
    labeller = FolderLabeller(_classes(files, findings))
    return Source("image_folder", "split/class" if with_splits else "class", files, with_splits, labeller)


class FolderLabeller:
    """The class is the folder; classes are in index order sorted by code point, as torchvision does."""

    def __init__(self, classes: list[str]) -> None:
        self._classes = classes
        self._index_of = {name: index for index, name in enumerate(classes)}

    def classes(self) -> list[str]:
        """The names of the folders."""
        return self._classes

    def collect(self, file: SourceFile) -> None:
        """Nothing: the name of the folder says all."""

    def label(self, file: SourceFile, collected: None, facts: ImageFacts) -> Labels:
        """The index of the class."""
        index = self._index_of[file.stratum]
        return Labels(fields={"label": index}, categories=[index])


def _common_folders(images: list[Member]) -> int:
    """How many leading folders all images share and still leave a class folder behind; a split is never skipped."""
    depth = 0
    first = images[0].parts
    shortest = min(len(member.parts) for member in images)
    while shortest - depth > 2 and first[depth].lower() not in SPLIT_NAMES:
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
    split_tops = {top for top in tops if top.lower() in SPLIT_NAMES}
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


def _labelled(inner: list[tuple[Member, tuple[str, ...]]], with_splits: bool, findings: Findings) -> list[SourceFile]:
    files = []
    class_at = 1 if with_splits else 0
    for member, parts in inner:
        if len(parts) < class_at + 2:
            reason = f"The image lies outside of the class folders. {_EXPECTED}"
            findings.bad_file(Code.MISPLACED_FILE, reason, member.name)
            continue
        split = SPLIT_NAMES[parts[0].lower()] if with_splits else None
        files.append(SourceFile(member, split, parts[class_at]))
    return files


def _check_empty_folders(
    files: list[SourceFile], folders: list[tuple[str, ...]], with_splits: bool, findings: Findings
) -> None:
    """A class folder that exists but holds no image in any split: most likely a mistake in packing."""
    class_at = 1 if with_splits else 0
    used = {file.stratum for file in files}
    named = {
        parts[class_at]
        for parts in folders
        if len(parts) > class_at and (not with_splits or parts[0].lower() in SPLIT_NAMES)
    }
    for name in sorted(named - used):
        findings.error(Code.EMPTY_CLASS, "The class folder holds no image.", name)


def _classes(files: list[SourceFile], findings: Findings) -> list[str]:
    names = sorted({file.stratum for file in files})
    spelling: dict[str, str] = {}
    for name in names:
        other = spelling.setdefault(fold(name), name)
        if other != name:
            reason = f"The class differs from '{printable(other)}' only in upper and lower case."
            findings.error(Code.CASE_CLASH, reason, name)
    return names
