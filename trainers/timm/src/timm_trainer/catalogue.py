"""Writes trainer.json: the models from timm's own configurations, the hyperparameters from settings.py.

Run by hand after a change of either: `python -m timm_trainer.catalogue`. A test says when it was forgotten.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import timm
import torch

from .settings import TimmSettings

TRAINER_JSON = Path(__file__).parents[2] / "trainer.json"

# name: (title, tags). The licence, size and parameters come from timm.
MODELS = {
    "resnet18": ("ResNet-18", ["cnn", "classic"]),
    "resnet34": ("ResNet-34", ["cnn", "classic"]),
    "resnet50": ("ResNet-50", ["cnn", "classic", "recommended"]),
    "resnet101": ("ResNet-101", ["cnn", "classic"]),
    "vgg16": ("VGG-16", ["cnn", "classic"]),
    "efficientnet_b0": ("EfficientNet-B0", ["cnn", "efficient", "recommended"]),
    "efficientnet_b1": ("EfficientNet-B1", ["cnn", "efficient"]),
    "efficientnet_b4": ("EfficientNet-B4", ["cnn", "efficient"]),
    "mobilenetv3_large_100": ("MobileNetV3 Large", ["cnn", "mobile"]),
    "mobilenetv3_small_100": ("MobileNetV3 Small", ["cnn", "mobile"]),
    "mobilenetv4_conv_small": ("MobileNetV4 Small", ["cnn", "mobile"]),
    "regnety_002": ("RegNetY 200MF", ["cnn", "mobile"]),
    "convnext_tiny": ("ConvNeXt Tiny", ["cnn", "modern", "recommended"]),
    "vit_tiny_patch16_224": ("ViT Tiny, patch 16", ["transformer"]),
    "vit_base_patch16_224": ("ViT Base, patch 16", ["transformer"]),
    "swin_tiny_patch4_window7_224": ("Swin Tiny", ["transformer"]),
    "test_resnet": ("Test ResNet (tiny)", ["cnn", "tiny"]),
    "test_efficientnet": ("Test EfficientNet (tiny)", ["cnn", "tiny"]),
    "test_convnext": ("Test ConvNeXt (tiny)", ["cnn", "tiny"]),
}
_NOTES = {"tiny": "Very small: for trying things out, also without a GPU."}


def trainer_manifest() -> dict[str, Any]:
    """The content of trainer.json. Builds every model without memory for its weights."""
    return {
        "contract_version": 1,
        "framework": "timm",
        "title": "timm (PyTorch Image Models)",
        "license": "Apache-2.0",
        "image": "vision-platform/trainer-timm",
        "enabled": True,
        "kinds": {"train": {"command": ["python", "-m", "timm_trainer"]}},
        "tasks": {"image_classification": {"primary_metric": "val/top1", "direction": "max"}},
        "hyperparameters": hyperparameters(),
        "models": [_model(name, title, tags) for name, (title, tags) in MODELS.items()],
    }


def hyperparameters() -> dict[str, Any]:
    """The JSON Schema (2020-12) of CONFIG_JSON."""
    schema = TimmSettings.model_json_schema()
    schema.pop("description", None)
    # A form shows one field a setting: "a number or nothing" is one type list, not two alternatives.
    properties = {name: _flatten(definition) for name, definition in schema["properties"].items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "timm training settings",
        "properties": properties,
    }


def _flatten(definition: dict[str, Any]) -> dict[str, Any]:
    alternatives = definition.pop("anyOf", None)
    if alternatives is None:
        return definition
    number = next(option for option in alternatives if option["type"] != "null")
    return {**definition, **number, "type": [number["type"], "null"]}


def _model(name: str, title: str, tags: list[str]) -> dict[str, Any]:
    cfg: Any = timm.get_pretrained_cfg(name)
    with torch.device("meta"):
        model = timm.create_model(name)
    entry: dict[str, Any] = {
        "name": name,
        "title": title,
        "tasks": ["image_classification"],
        "params_m": round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 2),
        "input_size": cfg.input_size[-1],
        "license": cfg.license or "unknown",
        "tags": tags,
        "pretrained": bool(cfg.has_weights),
    }
    notes = [_NOTES[tag] for tag in tags if tag in _NOTES]
    return {**entry, "notes": notes[0]} if notes else entry


def render() -> str:
    """trainer.json as text."""
    return json.dumps(trainer_manifest(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TRAINER_JSON.write_text(render(), encoding="utf-8")
    print(f"wrote {TRAINER_JSON}")
