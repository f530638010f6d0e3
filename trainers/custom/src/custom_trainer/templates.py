"""Puts values into the templates of a manifest: `${name}`, `${name:json}`, `$$`. No expressions, no shell.

Names, by what they tell:
- folders: source (the checkout), manifest_dir (what lies beside the manifest), data, output (the repository writes
  here), job (holds all of them), tmp
- data: train_dir, val_dir, test_dir (images of a split); train_json, val_json, test_json (coco); data_yaml (yolo);
  eval_dir, eval_json, eval_split (of an evaluation; in a training those of val); classes (list), num_classes,
  train_samples, val_samples, num_keypoints, keypoint_names, flip_indices, skeleton (lists)
- settings: task, epochs, batch_size, learning_rate, seed, device (cpu, cuda:0), device_type (cpu, cuda), gpu (true,
  false), gpu_index ("" on a CPU), num_workers, threads, params.<name>
- several processes (resources.processes): num_processes, distributed (true, false), batch_per_process (batch_size
  counts the images of all), gpu_indices ("0,1"; "" on a CPU), port (a free one, for them to meet at 127.0.0.1)
- files: python, pretrained ("" without), checkpoint, checkpoint_stem (without its suffix), checkpoint_dir (resume and
  derived jobs), images, images_json (predict: the folder, and the list [{"file", "name"}]), predictions, report, export
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .manifest_commands import When
from .parameters import text_of

Variables = Mapping[str, Any]

_PLACE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_.]*)(:json)?\})")
# fmt: off
_KNOWN = frozenset((
    "source", "manifest_dir", "job", "data", "output", "tmp", "train_dir", "val_dir", "test_dir", "train_json",
    "val_json", "test_json", "data_yaml", "eval_dir", "eval_json", "eval_split", "classes", "num_classes",
    "train_samples", "val_samples", "num_keypoints", "keypoint_names", "flip_indices", "skeleton", "task",
    "epochs", "batch_size", "learning_rate", "seed", "device", "device_type", "gpu", "gpu_index", "num_workers",
    "num_processes", "distributed", "batch_per_process", "gpu_indices", "port", "threads",
    "python", "pretrained", "checkpoint", "checkpoint_stem", "checkpoint_dir",
    "images", "images_json", "predictions", "report", "export",
))
# fmt: on


class TemplateError(ValueError):
    """A template names something that is not there."""


def fill(template: str, variables: Variables) -> str:
    """The text with its values. Raises TemplateError for an unknown name, or for a list without `:json`."""

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        if name not in variables:
            raise TemplateError(f"${{{name}}} has no value here")
        value = variables[name]
        if match.group(2):
            return json.dumps(str(value) if isinstance(value, Path) else value)
        if value is None:
            return ""
        if isinstance(value, list | dict):
            raise TemplateError(f"${{{name}}} is a list: write ${{{name}:json}}")
        return text_of(value) if isinstance(value, bool | int | float) else str(value)

    return _PLACE.sub(value_of, template)


def unknown_names(template: str, parameters: Sequence[str]) -> list[str]:
    """The names in a template that can never have a value."""
    allowed = _KNOWN | {f"params.{name}" for name in parameters} | {"params"}
    return [match.group(1) for match in _PLACE.finditer(template) if match.group(1) and match.group(1) not in allowed]


def fill_argv(argv: Sequence[str | When], variables: Variables, parameter_words: Sequence[str]) -> list[str]:
    """The words of a command. Raises TemplateError."""
    result: list[str] = []
    for item in argv:
        if isinstance(item, When):
            if _holds(item, variables):
                result += [fill(word, variables) for word in item.args]
        elif item == "${params}":
            result += parameter_words
        else:
            result.append(fill(item, variables))
    return result


def _holds(item: When, variables: Variables) -> bool:
    if item.when not in variables:
        raise TemplateError(f"`when: {item.when}` names no variable")
    text = fill("${" + item.when + "}", {item.when: variables[item.when]})
    return (text == item.equals if item.equals is not None else text not in ("", "0", "false")) != item.unless
