"""Judges the counts of a finished version: can anybody train and measure with it?"""

from __future__ import annotations

from dataclasses import dataclass

from .findings import Code, Findings
from .formats import CAPTIONING, CLASSIFICATION, SEMANTIC, expected


@dataclass(frozen=True, slots=True)
class Counted:
    """Per split: `samples`, and `classes`, which per class are what `DatasetManifest.class_counts` counts."""

    task: str
    format: str
    samples: dict[str, int]
    classes: dict[str, list[int]]


def check_counts(counted: Counted, names: list[str], findings: Findings) -> None:
    """Notes empty splits, splits without objects, and classes that cannot be learnt or measured."""
    task, samples, classes = counted.task, counted.samples, counted.classes
    fewest = 2 if task in (CLASSIFICATION, SEMANTIC) else 0 if task == CAPTIONING else 1
    if len(names) < fewest:
        hint = " (255 is ignored: a mask of two classes has the values 0 and 1)" if task == SEMANTIC else ""
        reason = f"{task} needs two classes or more; found {len(names)}{hint}."
        findings.error(Code.TOO_FEW_CLASSES, reason)
    for split in ("train", "val"):
        if not samples.get(split):
            reason = f"The split '{split}' has no usable image. {expected(task, counted.format)}"
            findings.error(Code.EMPTY_SPLIT, reason, split)
        elif names and not any(classes[split]):
            findings.error(Code.NO_OBJECTS, f"No image of the split '{split}' has an object.", split)
    if task == CAPTIONING or not samples.get("train"):
        return
    for index, name in enumerate(names):
        _check_class(counted, index, name, findings)


def _check_class(counted: Counted, index: int, name: str, findings: Findings) -> None:
    """A class folder is a promise; a list of class names is often longer than what was found of it."""
    task, samples, classes = counted.task, counted.samples, counted.classes
    severe = findings.error if task == CLASSIFICATION else findings.warning
    what = "image" if task == CLASSIFICATION else "object"
    if classes["train"][index]:
        if not classes["val"][index] and samples.get("val"):
            reason = f"The class has no {what} in val; it is trained, not measured."
            findings.warning(Code.CLASS_MISMATCH, reason, name)
    elif any(counts[index] for counts in classes.values()):
        severe(Code.CLASS_MISMATCH, f"The class is in val or test but not in train: no {what} to learn it from.", name)
    else:
        severe(Code.EMPTY_CLASS, f"The class has no usable {what}.", name)
