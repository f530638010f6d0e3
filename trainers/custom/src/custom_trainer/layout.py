"""Writes the dataset in the format that a manifest asks for, and says where everything lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vision_trainer.converters import write_coco, write_huggingface, write_image_folder, write_yolo
from vision_trainer.dataset import DatasetReader

from .manifest_data import DatasetFormat


def write_data(reader: DatasetReader, wanted: DatasetFormat, folder: Path, eval_split: str) -> dict[str, Any]:
    """Writes all splits of the reader below `folder`. Returns the variables that tell where they are.

    A dataset without a val split offers its test split under the name val as well.
    """
    splits = list(dict.fromkeys(sample.split for sample in reader.samples))
    variables: dict[str, Any] = {f"{name}_{what}": "" for name in ("train", "val", "test") for what in ("dir", "json")}
    variables["data_yaml"] = ""
    if wanted == "image_folder":
        write_image_folder(reader, folder)
        variables |= {f"{split}_dir": folder / split for split in splits}
    elif wanted == "huggingface":
        write_huggingface(reader, folder)
        variables |= {f"{split}_dir": folder / split for split in splits}
    elif wanted == "yolo":
        variables["data_yaml"] = write_yolo(reader, folder)
        variables |= {f"{split}_dir": folder / "images" / split for split in splits}
    else:
        written = write_coco(reader, folder)
        variables |= {f"{split}_json": path for split, path in written.items()}
        variables |= {f"{split}_dir": folder / "images" / split for split in splits}
    for what in ("dir", "json"):
        variables[f"val_{what}"] = variables[f"val_{what}"] or variables[f"test_{what}"]
        variables[f"eval_{what}"] = variables.get(f"{eval_split}_{what}", "")
    variables["eval_split"] = eval_split
    return variables


def default_split(reader: DatasetReader) -> str:
    """What is evaluated unless somebody says otherwise: val, or test where there is no val."""
    return "val" if reader.split("val") else "test"
