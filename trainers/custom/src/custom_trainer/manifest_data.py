"""What is trained, and on data of which layout."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .manifest_part import InnerPath, MetricName, Part, Template

TaskName = Literal[
    "image_classification",
    "object_detection",
    "instance_segmentation",
    "semantic_segmentation",
    "pose_estimation",
    "image_captioning",
]
DatasetFormat = Literal["image_folder", "yolo", "coco", "coco_pose", "huggingface"]


class Task(Part):
    """A task the repository trains, and the metric that decides which checkpoint is best."""

    primary_metric: MetricName
    direction: Literal["max", "min"] = "max"
    # Where this task's data format is not the manifest's own.
    format: DatasetFormat | None = None


class Dataset(Part):
    """How the data is laid out for the repository, in `${data}` (a folder of the job).

    image_folder: `<split>/<class index, 4 digits>/<id>.<ext>`; yolo: `images/ labels/ data.yaml`; coco, coco_pose:
    `images/<split>/` and `annotations/<split>.json`; huggingface: `<split>/metadata.jsonl` beside the images (all
    tasks, masks in `<split>/masks/`). `links`: further names that the repository insists on, as symbolic links ({link:
    target}, both templates; the link lies below `${data}`, `${source}` or `${output}`).
    """

    format: DatasetFormat
    links: Annotated[dict[Template, Template], Field(max_length=20)] = {}


class ConfigFile(Part):
    """A file made from a template before the command runs. `${name:json}` puts a value in as JSON, which YAML reads
    too.

    `template` lies beside the manifest; `to` (template) is where it goes: below `${job}`, `${output}` or `${source}`.
    """

    template: InnerPath
    to: Template
