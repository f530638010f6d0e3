"""Makes a model of transformers for the dataset's classes, from a configuration of ours and never from remote code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from vision_trainer.failures import FailureCode, TrainerFailure

from .model_list import Family, ModelSpec, family_of


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the model sees: `height` x `width` pixels, each channel minus mean, over std (of values 0 to 1)."""

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    letterbox: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for manifests and preprocessing.json."""
        return {
            "height": self.height,
            "width": self.width,
            "mean": list(self.mean),
            "std": list(self.std),
            "letterbox": self.letterbox,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelInput:
        """The reverse of `as_dict`. Raises KeyError, TypeError or ValueError for what is none."""
        mean, std = ((float(a), float(b), float(c)) for a, b, c in (values["mean"], values["std"]))
        return cls(int(values["height"]), int(values["width"]), mean, std, bool(values["letterbox"]))


def model_input(spec: ModelSpec, image_size: int | None) -> ModelInput:
    """The input of the model for a wished height (None: its own), rounded up to what the model can divide."""
    family = family_of(spec)
    height, width = spec.height, spec.width
    if image_size is not None:
        height = _rounded_up(image_size, family.size_step)
        width = _rounded_up(round(image_size * spec.width / spec.height), family.size_step)
    return ModelInput(height, width, family.mean, family.std, family.letterbox)


def model_config(
    spec: ModelSpec,
    shape: ModelInput,
    classes: list[str],
    keypoints: int,
    words: dict[str, int] | None,
    dropout: float | None,
) -> Any:
    """The transformers configuration of the model for this dataset.

    `keypoints` counts the points of a pose; `words` are the token ids and the size of the vocabulary of captions.
    """
    family = family_of(spec)
    values = _with_input_size(spec, shape)
    labels = [str(index) for index in range(keypoints)] if family.task_type == "pose_estimation" else classes
    if labels:
        values["id2label"] = dict(enumerate(labels))
        values["label2id"] = {name: index for index, name in enumerate(labels)}
    if words is not None:
        values["text_config"] = {**values["text_config"], **words}
    if dropout is not None:
        values = _with_dropout(spec, values, dropout)
    return getattr(transformers, family.config_class)(**values)


def build_model(spec: ModelSpec, config: Any, seed: int) -> nn.Module:
    """A new model with random weights; the same for the same seed. All of its weights learn."""
    torch.manual_seed(seed)
    model: nn.Module = model_class(family_of(spec))(config)
    return unfrozen(model)


def config_from_dict(spec: ModelSpec, values: dict[str, Any]) -> Any:
    """The configuration that a checkpoint holds. Raises BAD_CONFIG for one of another architecture."""
    config_class = getattr(transformers, family_of(spec).config_class)
    if values.get("model_type") != config_class.model_type:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"found the configuration of a {values.get('model_type')!r}, expected {config_class.model_type!r}.",
        )
    return config_class.from_dict(values)


def model_class(family: Family) -> Any:
    """The class in transformers. Asked for by name, so that only this one model's code is imported."""
    return getattr(transformers, family.model_class)


def unfrozen(model: nn.Module) -> nn.Module:
    """DETR's class freezes a ResNet on its own, also a random one: what is frozen is for the settings to say."""
    return model.requires_grad_(True)


def _with_input_size(spec: ModelSpec, shape: ModelInput) -> dict[str, Any]:
    values: dict[str, Any] = {name: dict(v) if isinstance(v, dict) else v for name, v in spec.config.items()}
    match spec.family:
        case "vit" | "deit":
            values["image_size"] = shape.height
        case "blip":
            values["vision_config"]["image_size"] = shape.height
        case "vitpose":
            values["backbone_config"]["image_size"] = [shape.height, shape.width]
    return values


# The names under which each family's configuration knows dropout.
_DROPOUT_NAMES = {
    "vit": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "deit": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "detr": ("dropout",),
    "rt_detr": ("dropout",),
    "segformer": ("hidden_dropout_prob", "classifier_dropout_prob"),
}


def _with_dropout(spec: ModelSpec, values: dict[str, Any], dropout: float) -> dict[str, Any]:
    if spec.family == "blip":
        text = {**values["text_config"], "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        return {**values, "text_config": text}
    if spec.family == "vitpose":
        backbone = {**values["backbone_config"], "hidden_dropout_prob": dropout}
        return {**values, "backbone_config": backbone}
    return {**values, **dict.fromkeys(_DROPOUT_NAMES[spec.family], dropout)}


def _rounded_up(size: int, step: int) -> int:
    return max(step, -(-size // step) * step)
