"""COCO: which JSON files to read, which image each entry means, and the classes and key points they share."""

from __future__ import annotations

from typing import Any

from .annotation_spool import AnnotationSpool
from .archive import Member
from .class_names import checked_class_names, clean_text
from .coco_file import CocoFile, Id, read_coco_file
from .coco_objects import CaptionLabeller, CocoKey, ObjectLabeller
from .findings import Code, Findings, printable
from .formats import CAPTIONING, OBJECT_TASKS, POSE, TASKS, expected
from .inventory import ImageNames, Inventory, Reading, stem_of
from .keypoints import flipped_by_name, generated_names, pairs_from_one
from .labels import BadAnnotation, Labeller, Source, SourceFile
from .limits import Limits
from .object_check import ObjectRules
from .split_names import split_of_folders, split_of_stem

# How the official archives name the files for each task; they lie side by side in one folder.
_PREFIXES = {
    "instances": frozenset({"object_detection", "instance_segmentation"}),
    "person_keypoints": frozenset({"pose_estimation"}),
    "captions": frozenset({"image_captioning"}),
    "stuff": frozenset(),
    "panoptic": frozenset(),
    "image_info": frozenset(),
}
_OTHER_JSON = frozenset({"classes.json", "labelmap.json", "package.json", "metadata.json", "info.json"})


def coco_candidates(inventory: Inventory, task: str) -> list[Member]:
    """The JSON files that may be COCO for the task, by their names."""
    found = [m for m in inventory.with_suffix("json") if m.parts[-1].lower() not in _OTHER_JSON]
    fitting = [member for member in found if task in _tasks_of(member)]
    # Many tools call every file `instances_…`, also those with key points.
    return fitting or [member for member in found if task in OBJECT_TASKS and OBJECT_TASKS & _tasks_of(member)]


def read_coco(reading: Reading) -> Source | None:
    """The dataset of all COCO files for the task. None, noted, when there is none or it cannot be used."""
    inventory, task, limits, findings = reading.inventory, reading.task, reading.limits, reading.findings
    spool = AnnotationSpool(reading.work / "annotations.spool")
    files = _read_files(reading, coco_candidates(inventory, task), spool)
    inventory.note_strays({m.name for m in inventory.with_suffix("json")}, findings)
    if not files:
        if not findings.error_count:
            reason = f"No JSON file in the archive is COCO (images, annotations, categories). {expected(task, 'coco')}"
            findings.error(Code.UNSUPPORTED_LAYOUT, reason)
        return None
    has_splits = _check_splits(files, findings)
    if has_splits is None:
        return None
    labeller, keypoints = _labeller(files, task, spool, limits, findings)
    if labeller is None:
        return None
    images = _images(files, inventory, findings)
    layout = "split files" if has_splits else "one file"
    return Source("coco", layout, images, has_splits, labeller, keypoints)


def _tasks_of(member: Member) -> frozenset[str]:
    """What a file is for by its name; for everything when the name says nothing."""
    stem = stem_of(member).lower()
    return next((tasks for prefix, tasks in _PREFIXES.items() if stem.startswith(prefix)), frozenset(TASKS))


def _read_files(reading: Reading, members: list[Member], spool: AnnotationSpool) -> list[CocoFile]:
    findings = reading.findings
    files = []
    for number, member in enumerate(members):
        split = split_of_stem(stem_of(member)) or split_of_folders(member.parts[:-1])
        file = CocoFile(member, number, split)
        try:
            read_coco_file(reading, file, spool)
        except BadAnnotation as bad:
            findings.error(bad.code, bad.reason, member.name)
            continue
        if file.is_coco:
            files.append(file)
        else:
            findings.warning(Code.STRAY_FILE, "The JSON file is not COCO and was ignored.", member.name)
    return files


def _check_splits(files: list[CocoFile], findings: Findings) -> bool | None:
    """Whether the files tell the splits; None, noted, when they tell them twice or only some."""
    seen: dict[str | None, CocoFile] = {}
    for file in files:
        other = seen.setdefault(file.split, file)
        if other is not file:
            told = f"the split '{file.split}'" if file.split else "no split"
            reason = f"This file and {printable(other.member.name)} both tell {told}; keep one, named after its split."
            findings.error(Code.FORMAT_AMBIGUOUS, reason, file.member.name)
            return None
    if None in seen and len(seen) > 1:
        reason = "The name tells no split (train, val or test), but the other files' names do."
        findings.error(Code.SPLIT_MISSING, reason, seen[None].member.name)
        return None
    return None not in seen


def _labeller(
    files: list[CocoFile], task: str, spool: AnnotationSpool, limits: Limits, findings: Findings
) -> tuple[Labeller | None, dict[str, Any] | None]:
    if task == CAPTIONING:
        return CaptionLabeller(spool, limits), None
    categories = _shared_categories(files, findings)
    if categories is None:
        return None, None
    ids = sorted(categories, key=lambda found: (isinstance(found, str), found))
    names = checked_class_names([categories[i].get("name") for i in ids], files[0].member.name, limits, findings)
    if names is None:
        return None, None
    keypoints = _keypoints([categories[i] for i in ids], files[0], limits, findings) if task == POSE else None
    if task == POSE and keypoints is None:
        return None, None
    rules = ObjectRules(task, limits, len(keypoints["names"]) if keypoints else 0)
    return ObjectLabeller(spool, {found: index for index, found in enumerate(ids)}, names, rules), keypoints


def _shared_categories(files: list[CocoFile], findings: Findings) -> dict[Id, dict[str, Any]] | None:
    """The categories of all files by id; a name may not differ between files."""
    shared: dict[Id, dict[str, Any]] = {}
    good = True
    for file in files:
        for found, entry in file.categories.items():
            known = shared.setdefault(found, entry)
            if known.get("name") != entry.get("name"):
                shown = [printable(clean_text(one.get("name"))) for one in (entry, known)]
                reason = f"The category {found!r} is '{shown[0]}' here and '{shown[1]}' in another file."
                findings.error(Code.CATEGORIES_DIFFER, reason, file.member.name)
                good = False
    above = {entry.get("supercategory") for entry in shared.values() if isinstance(entry.get("supercategory"), str)}
    for found, entry in list(shared.items()):
        # Roboflow lists the name of the whole project as one more category that nothing belongs to.
        if len(shared) > 1 and entry.get("name") in above and not any(file.used[found] for file in files):
            del shared[found]
            reason = f"The category '{printable(clean_text(entry['name']))}' only groups others and was left out."
            findings.warning(Code.UNUSED_SUPERCATEGORY, reason, files[0].member.name)
    return shared if good else None


def _keypoints(
    categories: list[dict[str, Any]], file: CocoFile, limits: Limits, findings: Findings
) -> dict[str, Any] | None:
    """`DatasetManifest.keypoints`, which all categories share."""
    told = [entry for entry in categories if isinstance(entry.get("keypoints"), list) and entry["keypoints"]]
    if not told:
        reason = "No category has `keypoints` (their names); pose estimation needs them."
        findings.error(Code.KEYPOINTS_MISSING, reason, file.member.name)
        return None
    if any(entry["keypoints"] != told[0]["keypoints"] for entry in told):
        reason = "The categories have different key points; a pose dataset has one list for all."
        findings.error(Code.KEYPOINTS_DIFFER, reason, file.member.name)
        return None
    given = told[0]["keypoints"][: limits.keypoints + 1]
    if len(given) > limits.keypoints:
        reason = f"More than {limits.keypoints} key points."
        findings.error(Code.KEYPOINT_COUNT_MISMATCH, reason, file.member.name)
        return None
    names = [clean_text(name) or spare for name, spare in zip(given, generated_names(len(given)), strict=True)]
    skeleton = pairs_from_one(told[0].get("skeleton"), len(names))
    return {"names": names, "flip_indices": flipped_by_name(names), "skeleton": skeleton}


def _images(files: list[CocoFile], inventory: Inventory, findings: Findings) -> list[SourceFile]:
    """Every image of every file that is in the archive; notes those that are not, and those that nobody lists."""
    names = ImageNames(inventory.images)
    taken: dict[str, str] = {}
    found = []
    for file in files:
        for image_id, image in file.images.items():
            shown, where = printable(image.file_name), file.member.name
            meant = names.find(image.file_name, file.member.parts[:-1], file.split)
            if not meant:
                reason = f"The image '{shown}' is listed but not in the archive."
                findings.bad_file(Code.IMAGE_MISSING, reason, where)
            elif len(meant) > 1:
                reason = f"'{shown}' may mean {len(meant)} images; write its folder into file_name."
                findings.bad_file(Code.IMAGE_AMBIGUOUS, reason, where)
            elif taken.setdefault(meant[0].name, f"{file.number} {image_id}") != f"{file.number} {image_id}":
                reason = f"The image '{shown}' is listed a second time."
                findings.bad_file(Code.DUPLICATE_ID, reason, where)
            else:
                found.append(SourceFile(meant[0], file.split, key=CocoKey(file.number, image_id, image.size)))
    for member in inventory.images:
        if member.name not in taken:
            reason = "No annotation file lists the image; it was left out."
            findings.warning(Code.IMAGE_NOT_ANNOTATED, reason, member.name)
    return found
