"""Which format an archive has, and the dataset in it."""

from __future__ import annotations

from .archive import Member
from .captions import caption_files, read_captions
from .coco import coco_candidates, read_coco
from .data_yaml import is_text
from .findings import Code, Findings, printable
from .formats import AUTO, FORMATS, expected, formats_for
from .image_folder import read_image_folder
from .inventory import Inventory, Reading
from .labels import Source
from .masks import mask_folders, read_masks
from .voc import read_voc
from .yolo import looks_like_yolo, read_yolo


def read_source(reading: Reading, format_name: str) -> Source | None:
    """The dataset for `task`, its images not yet looked at. None, noted, when there is none."""
    inventory, task, findings = reading.inventory, reading.task, reading.findings
    if format_name != AUTO and task not in FORMATS[format_name]:
        reason = f"The format {format_name} cannot tell what {task} needs; use {' or '.join(formats_for(task))}."
        findings.error(Code.FORMAT_TASK_MISMATCH, reason)
        return None
    chosen = _detected(inventory, task, findings) if format_name == AUTO else format_name
    if chosen is None:
        return None
    if not inventory.images:
        findings.error(Code.UNSUPPORTED_LAYOUT, f"The archive holds no image files. {expected(task, chosen)}")
        return None
    match chosen:
        case "image_folder":
            return read_image_folder(inventory, findings)
        case "coco":
            return read_coco(reading)
        case "yolo":
            return read_yolo(reading)
        case "voc":
            return read_voc(reading)
        case "masks":
            return read_masks(reading)
        case _:
            return read_captions(reading)


def _detected(inventory: Inventory, task: str, findings: Findings) -> str | None:
    """The one format for the task that the files speak for; None, noted, when there is none or several."""
    evidence = _evidence(inventory, task)
    fitting = [name for name in formats_for(task) if evidence[name]]
    if task == "image_classification":
        return "image_folder"
    if fitting == ["coco", "captions"]:  # captions told as COCO: one file, two names for it
        return "captions" if caption_files(inventory) else "coco"
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        shown = "; ".join(f"{name} ({printable(evidence[name][0].name)})" for name in fitting)
        reason = f"The archive looks like several formats: {shown}. Say which by the setting `format`."
        findings.error(Code.FORMAT_AMBIGUOUS, reason)
        return None
    found = "; ".join(f"{name} ({len(members)} files)" for name, members in evidence.items() if members)
    reason = f"Found {len(inventory.images)} images{', and what may be ' + found if found else ''}. {expected(task)}"
    findings.error(Code.UNSUPPORTED_LAYOUT, reason)
    return None


def _evidence(inventory: Inventory, task: str) -> dict[str, list[Member]]:
    """Files that speak for each format, by their names alone."""
    beside_images = [m for m in inventory.with_suffix("txt") if is_text(m) and m.parts[-1].lower() == "classes.txt"]
    return {
        "image_folder": [] if task != "image_classification" else inventory.images,
        "coco": coco_candidates(inventory, task),
        "yolo": looks_like_yolo(inventory) or beside_images,
        "voc": inventory.with_suffix("xml"),
        "masks": mask_folders(inventory),
        "captions": caption_files(inventory) or coco_candidates(inventory, "image_captioning"),
    }
