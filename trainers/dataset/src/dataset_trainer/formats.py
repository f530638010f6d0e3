"""The upload formats, the tasks each can tell about, and what each is expected to look like."""

from __future__ import annotations

AUTO = "auto"
DETECTION = "object_detection"
INSTANCES = "instance_segmentation"
SEMANTIC = "semantic_segmentation"
POSE = "pose_estimation"
CAPTIONING = "image_captioning"
CLASSIFICATION = "image_classification"

TASKS = (CLASSIFICATION, DETECTION, INSTANCES, SEMANTIC, POSE, CAPTIONING)
OBJECT_TASKS = frozenset({DETECTION, INSTANCES, POSE})

FORMATS: dict[str, frozenset[str]] = {
    "image_folder": frozenset({CLASSIFICATION}),
    "coco": OBJECT_TASKS | {CAPTIONING},
    "yolo": OBJECT_TASKS,
    "voc": frozenset({DETECTION}),
    "masks": frozenset({SEMANTIC}),
    "captions": frozenset({CAPTIONING}),
}

_EXPECTED = {
    "image_folder": "image folders <split>/<class>/<image> (splits: train, val, test) or <class>/<image>",
    "coco": "COCO: annotations/instances_<split>.json with the images in <split>/, or <split>/_annotations.coco.json",
    "yolo": "YOLO: data.yaml with names, images/<split>/<image> and labels/<split>/<image>.txt",
    "voc": "Pascal VOC: Annotations/<image>.xml, JPEGImages/<image> and ImageSets/Main/<split>.txt",
    "masks": "masks: images/<split>/<image> and masks/<split>/<image>.png with class indices, classes.txt",
    "captions": "captions: captions.jsonl or metadata.jsonl with file_name and text, captions.csv, or COCO captions",
}


def formats_for(task: str) -> list[str]:
    """The formats that can tell what the task needs, in the order of `FORMATS`."""
    return [name for name, tasks in FORMATS.items() if task in tasks]


def expected(task: str, format_name: str = AUTO) -> str:
    """A sentence about what an upload for `task` looks like; about one format unless that is `auto`."""
    names = formats_for(task) if format_name == AUTO else [format_name]
    return f"Expected {'; or '.join(_EXPECTED[name] for name in names)}."
