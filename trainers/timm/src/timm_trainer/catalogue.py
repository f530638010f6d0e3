"""Writes trainer.json and all-models.json from timm's own configurations and from settings.py.

Run by hand after a change of either: `python -m timm_trainer.catalogue` (seconds); with `--all` also all-models.json
(minutes). A test says when it was forgotten.
"""

from __future__ import annotations

import csv
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from vision_trainer.job_settings import schema_of

from .job_options import EvaluateOptions, ExportOptions, PredictOptions
from .memory_estimate import training_memory_mb
from .settings import TimmSettings

FOLDER = Path(__file__).parents[2]
TRAINER_JSON = FOLDER / "trainer.json"
ALL_MODELS_JSON = FOLDER / "all-models.json"
# Columns model, img_size, top1 of timm's results/results-imagenet.csv.
FIGURES = FOLDER / "imagenet-top1.csv"
FIGURES_SOURCE = "huggingface/pytorch-image-models results/results-imagenet.csv at aa4b5850 (2026-08-08)"
# Columns model, img_size, images_per_s of timm's own benchmark of the forward pass.
SPEEDS = FOLDER / "rtx4090-speed.csv"
SPEEDS_FILE = "benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv"
SPEEDS_SOURCE = f"huggingface/pytorch-image-models results/{SPEEDS_FILE} at 5c33776a (2024-09-04)"

# A start for fine-tuning with adamw on one GPU of 16 GB: (epochs, batch, learning rate).
_SMALL_CNN = (30, 128, 1e-3)
_CNN = (30, 64, 5e-4)
_LARGE_CNN = (30, 32, 3e-4)
_TRANSFORMER = (20, 64, 1e-4)
_TINY = (8, 64, 1e-2)

# name: (title, tags, recommended). The licence, size, parameters and weights come from timm.
MODELS: dict[str, tuple[str, list[str], tuple[int, int, float]]] = {
    "resnet18": ("ResNet-18", ["cnn", "classic"], _SMALL_CNN),
    "resnet34": ("ResNet-34", ["cnn", "classic"], _SMALL_CNN),
    "resnet50": ("ResNet-50", ["cnn", "classic", "recommended"], (30, 128, 5e-4)),
    "resnet101": ("ResNet-101", ["cnn", "classic"], _CNN),
    "vgg16": ("VGG-16", ["cnn", "classic"], (20, 64, 1e-4)),
    "vgg19": ("VGG-19", ["cnn", "classic"], (20, 64, 1e-4)),
    "efficientnet_b0": ("EfficientNet-B0", ["cnn", "efficient", "recommended"], _SMALL_CNN),
    "efficientnet_b1": ("EfficientNet-B1", ["cnn", "efficient"], _CNN),
    "efficientnet_b4": ("EfficientNet-B4", ["cnn", "efficient"], _LARGE_CNN),
    "mobilenetv3_large_100": ("MobileNetV3 Large", ["cnn", "mobile"], _SMALL_CNN),
    "mobilenetv3_small_100": ("MobileNetV3 Small", ["cnn", "mobile"], _SMALL_CNN),
    "mobilenetv4_conv_small": ("MobileNetV4 Small", ["cnn", "mobile"], _SMALL_CNN),
    "regnety_002": ("RegNetY 200MF", ["cnn", "mobile"], _SMALL_CNN),
    "convnext_tiny": ("ConvNeXt Tiny", ["cnn", "modern", "recommended"], (20, 64, 2e-4)),
    "vit_tiny_patch16_224": ("ViT Tiny, patch 16", ["transformer"], (20, 128, 2e-4)),
    "vit_base_patch16_224": ("ViT Base, patch 16", ["transformer"], _TRANSFORMER),
    "vit_large_patch16_224": ("ViT Large, patch 16", ["transformer"], (20, 16, 5e-5)),
    "swin_tiny_patch4_window7_224": ("Swin Tiny", ["transformer"], _TRANSFORMER),
    "test_resnet": ("Test ResNet (tiny)", ["cnn", "tiny"], _TINY),
    "test_vit": ("Test ViT (tiny)", ["transformer", "tiny"], (20, 64, 3e-3)),
    "test_efficientnet": ("Test EfficientNet (tiny)", ["cnn", "tiny"], _TINY),
    "test_convnext": ("Test ConvNeXt (tiny)", ["cnn", "tiny"], (8, 64, 5e-3)),
}
_NOTES = {"tiny": "Very small: for trying things out, also without a GPU."}


def trainer_manifest() -> dict[str, Any]:
    """The content of trainer.json. Builds every model without memory for its weights."""
    command = ["python", "-m", "timm_trainer"]
    return {
        "contract_version": 1,
        "framework": "timm",
        "title": "timm (PyTorch Image Models)",
        "license": "Apache-2.0",
        "image": "vision-platform-timm",
        "environment": {"lock": "requirements.lock", "torch": True},
        "enabled": True,
        "resources": {"gpu": "optional", "multi_gpu": True, "min_memory_mb": 2048, "shm_mb": 64},
        "kinds": {
            "train": {"command": command},
            "evaluate": {"command": command, "options": schema_of(EvaluateOptions, "Evaluation")},
            "predict": {
                "command": command,
                "options": schema_of(PredictOptions, "Prediction", without=("images",)),
            },
            "export": {"command": command, "options": schema_of(ExportOptions, "Export")},
        },
        "tasks": {"image_classification": {"primary_metric": "val/top1", "direction": "max"}},
        "hyperparameters": schema_of(TimmSettings, "timm training settings"),
        "models": [_listed_model(name) for name in MODELS],
    }


def any_model(name: str) -> dict[str, Any]:
    """What timm says about one of its architectures, as a CatalogueModel."""
    cfg: Any = timm.get_pretrained_cfg(name)
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in timm.create_model(name).parameters())
    entry: dict[str, Any] = {
        "name": name,
        "title": name,
        "tasks": ["image_classification"],
        "params_m": round(parameters / 1e6, 2),
        "input_size": int(cfg.input_size[-1]) if cfg else 224,
        # Of the code; the licence of the weights is with the weights.
        "license": "Apache-2.0",
        "tags": [],
        "pretrained": bool(cfg and cfg.has_weights),
    }
    if cfg and cfg.has_weights:
        source = cfg.hf_hub_id or cfg.url
        entry["weights"] = {
            "license": cfg.license or "unknown",
            "source": source[:300],
            "file": _weights_file(cfg)[:200],
        }
    accuracies = _figures(FIGURES, "top1").get(f"{name}.{cfg.tag}" if cfg and cfg.tag else name, {})
    if accuracies:
        size = _measured_size(accuracies, entry["input_size"])
        entry["accuracy"] = {
            "value": accuracies[size],
            "unit": "% top-1",
            "on": f"ImageNet-1k validation, {size} px",
            "source": FIGURES_SOURCE,
        }
    speeds = _figures(SPEEDS, "images_per_s").get(name, {})
    if speeds:
        size = _measured_size(speeds, entry["input_size"])
        entry["speed"] = {
            "value": speeds[size],
            "unit": "images a second",
            "on": f"RTX 4090, mixed precision, {size} px",
            "source": SPEEDS_SOURCE,
        }
    return entry


def _measured_size(figures: dict[int, float], input_size: int) -> int:
    """The size the model is going to be trained at, where that was measured, else the smallest; in pixels."""
    return input_size if input_size in figures else min(figures)


def _weights_file(cfg: Any) -> str:
    if cfg.hf_hub_id:
        return str(cfg.hf_hub_filename or "model.safetensors")
    return str(cfg.url).rsplit("/", 1)[-1]


def _listed_model(name: str) -> dict[str, Any]:
    title, tags, (epochs, batch_size, learning_rate) = MODELS[name]
    entry = any_model(name)
    notes = [_NOTES[tag] for tag in tags if tag in _NOTES]
    return {
        **entry,
        "title": title,
        "tags": tags,
        "recommended": {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate},
        "memory_mb": training_memory_mb(name, batch_size),
        **({"notes": notes[0]} if notes else {}),
    }


@cache
def _figures(file: Path, column: str) -> dict[str, dict[int, float]]:
    """The numbers of a column by model, as the file names it, and by image size."""
    found: dict[str, dict[int, float]] = {}
    with file.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault(row["model"], {})[int(row["img_size"])] = float(row[column])
    return found


def render() -> str:
    """trainer.json as text."""
    return json.dumps(trainer_manifest(), indent=2, ensure_ascii=False) + "\n"


def render_all() -> str:
    """all-models.json as text: one architecture a line. Those that timm cannot build without extras are left out."""
    lines = []
    for name in timm.list_models():
        try:
            lines.append(json.dumps(any_model(name), ensure_ascii=False, separators=(",", ":")))
        except Exception as error:  # one architecture that needs another package must not hide a thousand others
            print(f"left out: {name}: {type(error).__name__}: {error}", file=sys.stderr)
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    TRAINER_JSON.write_text(render(), encoding="utf-8")
    print(f"wrote {TRAINER_JSON.name}")
    if "--all" in sys.argv[1:]:
        ALL_MODELS_JSON.write_text(render_all(), encoding="utf-8")
        print(f"wrote {ALL_MODELS_JSON.name}")
