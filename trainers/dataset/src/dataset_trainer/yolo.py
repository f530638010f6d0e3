"""YOLO: which images belong to which split, and where each image's label file lies."""

from __future__ import annotations

from collections import Counter, defaultdict

from .archive import Member
from .data_yaml import DataYaml, is_list_file, is_text, read_data_yaml
from .findings import Code, Findings, printable
from .formats import POSE, expected
from .inventory import ImageNames, Inventory, Reading, name_parts, read_text, stem_of
from .labels import BadAnnotation, Source, SourceFile
from .object_check import ObjectRules
from .split_names import SPLITS, split_of_folders
from .yolo_rows import RowLabeller

_NO_LABELS = frozenset({"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt", "notes.txt"})


def looks_like_yolo(inventory: Inventory) -> list[Member]:
    """What speaks for YOLO: a YAML file, or text files below a folder `labels`."""
    yaml = inventory.with_suffix("yaml", "yml")
    return yaml or [m for m in inventory.with_suffix("txt") if "labels" in [part.lower() for part in m.parts[:-1]]]


def read_yolo(reading: Reading) -> Source | None:
    """The dataset. None, noted, when the layout is another or data.yaml is unusable."""
    task, limits, findings = reading.task, reading.limits, reading.findings
    data = read_data_yaml(reading)
    if data is None:
        return None
    if task == POSE and data.keypoints is None:
        reason = "kpt_shape is missing: pose estimation needs [number of key points, 2 or 3]."
        findings.error(Code.KEYPOINTS_MISSING, reason, data.member.name if data.member else None)
        return None
    split_of = _splits(reading, data)
    if split_of is None:
        return None
    files = _files(reading.inventory, split_of, findings)
    rules = ObjectRules(task, limits, len(data.keypoints["names"]) if data.keypoints and task == POSE else 0)
    has_splits = any(split is not None for split in split_of.values())
    labeller = RowLabeller(reading.archive, data.names, data.shape, rules)
    return Source("yolo", "splits" if has_splits else "no splits", files, has_splits, labeller, data.keypoints)


def _splits(reading: Reading, data: DataYaml) -> dict[str, str | None] | None:
    """Image name → split; None for all where the upload has no splits. None, noted, when nothing fits."""
    inventory, findings = reading.inventory, reading.findings
    found: dict[str, str | None] = {}
    for split in SPLITS:
        for place in data.places.get(split, ()):
            members = _at(reading, place, split, data)
            if members is None:
                return None
            for member in members:
                other = found.setdefault(member.name, split)
                if other != split and set(data.places.get(str(other), ())) != set(data.places[split]):
                    reason = f"The image belongs to {other} and to {split}."
                    findings.bad_file(Code.DUPLICATE_ID, reason, member.name)
    if found:
        same = "val" in data.places and data.places.get("train") == data.places["val"]
        return dict.fromkeys(found) if same and set(found.values()) == {"train"} else found
    by_folder = {member.name: split_of_folders(member.parts[:-1]) for member in inventory.images}
    if data.places and inventory.images and not any(by_folder.values()):
        reason = (
            f"data.yaml names folders for {', '.join(data.places)} that are not in the archive. {expected('', 'yolo')}"
        )
        findings.error(Code.SPLIT_MISSING, reason, data.member.name if data.member else None)
        return None
    if any(by_folder.values()):
        return {name: split for name, split in by_folder.items() if split is not None}
    return dict.fromkeys(by_folder)


def _at(reading: Reading, place: str, split: str, data: DataYaml) -> list[Member] | None:
    """The images that a split's value means: those below the folder whose path agrees best, or those a list names."""
    inventory = reading.inventory
    if is_list_file(place):
        return _listed(reading, place, split)
    parts = tuple(name_parts(place))
    home = data.member.parts[:-1] if data.member else ()
    folders = {member.parts[:depth] for member in inventory.images for depth in range(1, len(member.parts))}
    # The path may begin on the author's disk, so only its end has to agree; the folder next to data.yaml wins.
    for length in range(len(parts), 0, -1):
        ending = parts[-length:]
        if home + ending in folders:
            return _below(inventory, home + ending)
        matching = [folder for folder in folders if folder[-length:] == ending]
        if len(matching) == 1:
            return _below(inventory, matching[0])
    return []


def _below(inventory: Inventory, folder: tuple[str, ...]) -> list[Member]:
    return [member for member in inventory.images if member.parts[: len(folder)] == folder]


def _listed(reading: Reading, place: str, split: str) -> list[Member] | None:
    inventory, findings = reading.inventory, reading.findings
    lists = ImageNames(inventory.with_suffix("txt")).find(place, (), None)
    if len(lists) != 1:
        findings.error(
            Code.SPLIT_MISSING, f"The list '{printable(place)}' of the split '{split}' is not in the archive."
        )
        return None
    names = ImageNames(inventory.images)
    found = []
    try:
        lines = read_text(reading.archive, lists[0], reading.limits.annotation_piece_bytes).splitlines()
    except BadAnnotation as bad:
        findings.error(bad.code, bad.reason, lists[0].name)
        return None
    for line in filter(None, map(str.strip, lines)):
        meant = names.find(line, (), None)
        if len(meant) == 1:
            found.append(meant[0])
        else:
            code, what = (
                (Code.IMAGE_MISSING, "is not in the archive") if not meant else (Code.IMAGE_AMBIGUOUS, "is not unique")
            )
            findings.bad_file(code, f"The image '{printable(line)}' {what}.", lists[0].name)
    return found


def _files(inventory: Inventory, split_of: dict[str, str | None], findings: Findings) -> list[SourceFile]:
    """Images with their label files; notes labels without an image, two images for one label, and backgrounds."""
    texts = {member.parts: member for member in inventory.others if is_text(member)}
    used: set[tuple[str, ...]] = set()
    images = [member for member in inventory.images if member.name in split_of]
    twice = Counter((member.parts[:-1], stem_of(member)) for member in images)
    files = []
    for member in images:
        if twice[member.parts[:-1], stem_of(member)] > 1:
            reason = "Two images have the same name but for the suffix, so they share one label file."
            findings.bad_file(Code.DUPLICATE_STEM, reason, member.name)
            continue
        label = next((texts[place] for place in _label_places(member) if place in texts), None)
        if label is None:
            reason = "The image has no label file; it counts as background."
            findings.warning(Code.BACKGROUND_IMAGE, reason, member.name)
        else:
            used.add(label.parts)
        files.append(SourceFile(member, split_of[member.name], key=label))
    _note_unused(inventory, used, set(split_of), findings)
    return files


def _label_places(member: Member) -> list[tuple[str, ...]]:
    """Where the label file may lie: labels/ instead of images/ (the last such folder first), else beside the image."""
    name = f"{stem_of(member)}.txt"
    folders = member.parts[:-1]
    places = [
        (*folders[:at], "labels", *folders[at + 1 :], name)
        for at in reversed(range(len(folders)))
        if folders[at].lower() == "images"
    ]
    places += [("labels", *folders, name), (*folders, "labels", name), (*folders, name)]
    return places


def _note_unused(inventory: Inventory, used: set[tuple[str, ...]], placed: set[str], findings: Findings) -> None:
    stems = defaultdict(set)
    for member in inventory.images:
        stems[stem_of(member)].add(member.name in placed)
    known = {member.name for member in inventory.with_suffix("yaml", "yml")}
    for member in inventory.with_suffix("txt"):
        if member.parts in used or member.parts[-1].lower() in _NO_LABELS or member.parts[-1].startswith("README"):
            known.add(member.name)
        elif stems.get(stem_of(member), {True}) != {False}:
            reason = "The label file belongs to no image in the archive."
            findings.bad_file(Code.ANNOTATION_WITHOUT_IMAGE, reason, member.name)
            known.add(member.name)
        else:
            known.add(member.name)
    inventory.note_strays(known, findings)
    for member in inventory.images:
        if member.name not in placed:
            reason = "No split of data.yaml holds the image; it was left out."
            findings.warning(Code.IMAGE_NOT_ANNOTATED, reason, member.name)
