# SPDX-License-Identifier: AGPL-3.0-only
"""The hyperparameters of CONFIG_JSON. trainer.json's JSON Schemas are generated from these classes (catalogue.py)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from vision_trainer.environment import TrainerEnvironment
from vision_trainer.job_settings import run_identity

# Settings that change how fast or where a job runs, never what it computes.
_NOT_PART_OF_THE_RESULT = {"num_workers", "cache_images", "resume_with_other_config"}


def _about(title: str, description: str, *, unit: str | None = None, group: str = "advanced", **limits: Any) -> Any:
    """A field with its words, limits, unit and the group of the form it is shown in."""
    extra: dict[str, Any] = {"x-group": group, **({"x-unit": unit} if unit else {})}
    return Field(title=title, description=description, json_schema_extra=extra, **limits)


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UltralyticsSettings(_Options):
    """Everything a user may set beyond epochs, batch size, learning rate and seed."""

    image_size: Annotated[
        int | None,
        _about(
            "Image size",
            "Longer side the images are scaled to, rounded up to a multiple of 32. Not set: the model's own size, or "
            "less where the dataset's images are smaller.",
            unit="px",
            group="basic",
            ge=32,
            le=2048,
        ),
    ] = None
    optimizer: Annotated[
        Literal["AdamW", "SGD", "Adam", "NAdam", "RAdam", "RMSProp", "MuSGD"],
        _about(
            "Optimizer",
            "The update rule, always with the learning rate that was asked for. SGD and MuSGD use Nesterov momentum "
            "and want about ten times the learning rate of AdamW.",
            group="basic",
        ),
    ] = "AdamW"
    augmentation: Annotated[
        Literal["none", "light", "standard"],
        _about(
            "Augmentation",
            "none: resize only. light: small shifts, scaling and colour changes. standard: YOLO's own recipe with "
            "mosaic (classification: random crops, RandAugment and erasing).",
            group="basic",
        ),
    ] = "light"
    horizontal_flip: Annotated[
        float,
        _about(
            "Horizontal flip",
            "Probability of a mirror image. Leave 0 where left and right differ, as in text or digits.",
            group="basic",
            ge=0,
            le=1,
        ),
    ] = 0.0
    early_stopping_patience: Annotated[
        int,
        _about(
            "Early stopping patience",
            "Stop after this many epochs without a better primary metric. 0: never.",
            unit="epochs",
            group="basic",
            ge=0,
            le=1000,
        ),
    ] = 0
    pretrained: Annotated[
        bool,
        _about(
            "Pretrained weights",
            "Start from the weights in the platform's store (PRETRAINED_URI); nothing is downloaded.",
            group="basic",
        ),
    ] = False
    auto_batch: Annotated[
        bool,
        _about(
            "Automatic batch size",
            "On a GPU: use the largest batch that fits into 60 % of its memory instead of batch_size.",
            group="basic",
        ),
    ] = False
    weight_decay: Annotated[
        float, _about("Weight decay", "Not applied to biases and normalisation layers.", ge=0, le=1)
    ] = 0.0005
    momentum: Annotated[float, _about("Momentum", "Momentum, or the first beta of Adam.", gt=0, lt=1)] = 0.9
    warmup_epochs: Annotated[
        float, _about("Warm-up", "The learning rate rises linearly for this long.", unit="epochs", ge=0, le=100)
    ] = 1.0
    warmup_momentum: Annotated[
        float, _about("Warm-up momentum", "Momentum at the start of the warm-up (SGD, MuSGD, RMSProp).", ge=0, lt=1)
    ] = 0.8
    warmup_bias_lr: Annotated[
        float,
        _about(
            "Warm-up learning rate of biases",
            "Where the learning rate of the biases starts; YOLO's own recipe for SGD uses 0.1.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    final_lr_ratio: Annotated[
        float,
        _about("Final learning rate", "Where the schedule ends, as a share of the learning rate.", gt=0, le=1),
    ] = 0.01
    schedule: Annotated[
        Literal["linear", "cosine"], _about("Schedule", "How the learning rate falls, epoch by epoch.")
    ] = "linear"
    grad_accumulation: Annotated[
        int, _about("Gradient accumulation", "Batches per update of the weights.", ge=1, le=256)
    ] = 1
    clip_grad: Annotated[
        float | None,
        _about("Gradient clipping", "Largest norm of the gradients. null: no limit.", gt=0, le=1000),
    ] = 10.0
    ema_decay: Annotated[
        float,
        _about(
            "Weight averaging (EMA) decay",
            "The averaged weights are the ones validated and kept. 0 switches averaging off.",
            ge=0,
            lt=1,
        ),
    ] = 0.9999
    amp: Annotated[bool, _about("Mixed precision", "Use bfloat16 or float16 on a GPU. Without effect on a CPU.")] = True
    freeze: Annotated[
        int, _about("Frozen layers", "Number of layers, from the first, that keep their weights.", ge=0, le=100)
    ] = 0
    dropout: Annotated[float, _about("Dropout", "Dropout before the classifier; classification only.", ge=0, lt=1)] = (
        0.0
    )
    class_weights: Annotated[
        float,
        _about(
            "Class weights",
            "0: all classes alike. 1: each class weighs as much as it is rare; values between soften that. Rare by its "
            "objects, or by its images in classification.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    mosaic: Annotated[
        float | None,
        _about("Mosaic", "Probability of pasting four images into one. Not set: the preset's.", ge=0, le=1),
    ] = None
    close_mosaic: Annotated[
        int, _about("Last epochs without mosaic", "Mosaic is off for so many epochs at the end.", unit="epochs", ge=0)
    ] = 10
    mixup: Annotated[float, _about("MixUp", "Probability of blending two images.", ge=0, le=1)] = 0.0
    multi_scale: Annotated[
        float,
        _about(
            "Mixed sizes", "Each batch has a size that differs from the image size by up to this share.", ge=0, lt=1
        ),
    ] = 0.0
    rotation: Annotated[float, _about("Rotation", "Largest random rotation.", unit="degrees", ge=0, le=180)] = 0.0
    vertical_flip: Annotated[float, _about("Vertical flip", "Probability of an upside-down image.", ge=0, le=1)] = 0.0
    box_gain: Annotated[float, _about("Box loss", "Weight of the box loss.", ge=0, le=100)] = 7.5
    class_gain: Annotated[float, _about("Class loss", "Weight of the class loss.", ge=0, le=100)] = 0.5
    distance_gain: Annotated[
        float, _about("Box distance loss", "Weight of the distribution focal loss.", ge=0, le=100)
    ] = 1.5
    pose_gain: Annotated[float, _about("Key point loss", "Weight of the key points' loss.", ge=0, le=100)] = 12.0
    max_detections: Annotated[int, _about("Most objects", "So many objects are kept for an image.", ge=1, le=5000)] = (
        300
    )
    nms_iou: Annotated[
        float, _about("Overlap limit", "Of two boxes of a class that overlap more, the surer one stays.", gt=0, le=1)
    ] = 0.7
    num_workers: Annotated[
        int | None,
        _about("Loader processes", "Processes that prepare images for a GPU. Not set: from the CPUs.", ge=0, le=64),
    ] = None
    cache_images: Annotated[
        bool, _about("Images in memory", "Keep the scaled images in memory where they take at most a quarter of it.")
    ] = True
    resume_with_other_config: Annotated[
        bool,
        _about("Resume with other settings", "Continue a checkpoint although it was made with other settings."),
    ] = False


class EvaluateOptions(_Options):
    """`config` of an evaluation."""

    split: Annotated[
        str | None,
        _about(
            "Split",
            "The part of the dataset to measure on. Not set: val, else test.",
            group="basic",
            pattern=r"^[a-z][a-z0-9_]{0,31}$",
        ),
    ] = None
    worst: Annotated[
        int, _about("Worst samples", "So many of the samples the model does worst on are shown.", ge=0, le=50)
    ] = 12


class PredictOptions(_Options):
    """`config` of a prediction; `images` is put in by the platform."""

    split: Annotated[
        str | None,
        _about(
            "Split",
            "The part of the dataset to predict on. Not set: val, else test.",
            group="basic",
            pattern=r"^[a-z][a-z0-9_]{0,31}$",
        ),
    ] = None
    images: Annotated[list[str] | None, _about("Images", "s3:// addresses of images.", max_length=10_000)] = None
    confidence: Annotated[
        float, _about("Confidence", "Objects less sure than this are left out.", group="basic", ge=0.001, le=1)
    ] = 0.25
    nms_iou: Annotated[
        float, _about("Overlap limit", "Of two boxes of a class that overlap more, the surer one stays.", gt=0, le=1)
    ] = 0.7
    max_detections: Annotated[int, _about("Most objects", "So many objects are kept for an image.", ge=1, le=5000)] = (
        300
    )
    max_overlays: Annotated[
        int, _about("Pictures", "The first so many images are saved with the prediction drawn.", ge=0, le=500)
    ] = 50


class ExportOptions(_Options):
    """`config` of an export."""

    opset: Annotated[int, _about("ONNX operator set", "Version of the ONNX operators.", ge=13, le=20)] = 18
    dynamic: Annotated[
        bool,
        _about(
            "Any batch and image size",
            "The exported model takes any number of images of any size that is a multiple of 32.",
            group="basic",
        ),
    ] = True
    parity_samples: Annotated[
        int,
        _about("Samples compared", "So many validation images are run through both models.", ge=1, le=256),
    ] = 16
    tolerance: Annotated[
        float,
        _about("Tolerance", "Largest difference of an output value, relative to the largest value.", gt=0, le=0.1),
    ] = 1e-3


def identity_of_run(env: TrainerEnvironment, settings: UltralyticsSettings) -> dict[str, Any]:
    """Everything that decides the result (see the kit's run_identity)."""
    return run_identity(env, settings.model_dump(exclude=_NOT_PART_OF_THE_RESULT))
