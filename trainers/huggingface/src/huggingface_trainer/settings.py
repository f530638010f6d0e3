"""The hyper-parameters of CONFIG_JSON. trainer.json's JSON Schemas are generated from these classes (catalogue.py)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from vision_trainer.environment import TrainerEnvironment
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.job_settings import run_identity

# Settings that change how fast or where a job runs, never what it computes.
_NOT_PART_OF_THE_RESULT = ("num_workers", "resume_with_other_config")


def _extra(group: Literal["basic", "advanced"], unit: str | None = None) -> dict[str, Any]:
    return {"x-group": group, **({"x-unit": unit} if unit else {})}


class TrainSettings(BaseModel):
    """Everything a user may set beyond epochs, batch size, learning rate and seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pretrained: Annotated[
        bool,
        Field(
            title="Pretrained weights",
            description="Start from published weights out of the platform's store, or from the hub where the network "
            "is allowed.",
            json_schema_extra=_extra("basic"),
        ),
    ] = False
    image_size: Annotated[
        int | None,
        Field(
            ge=32,
            le=1536,
            title="Image size",
            description="Height of the model's input in the model's own proportions, rounded up to what the model "
            "can divide. Not set: the model's own size. Published weights of ViT, DeiT, BLIP and ViTPose need theirs.",
            json_schema_extra=_extra("basic", "px"),
        ),
    ] = None
    augmentation: Annotated[
        Literal["none", "light", "standard"],
        Field(
            title="Augmentation",
            description="none: resize only. light: small random crops and colour changes. standard: large ones. Boxes, "
            "masks and key points follow the image.",
            json_schema_extra=_extra("basic"),
        ),
    ] = "light"
    horizontal_flip: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Horizontal flip",
            description="Probability of a mirror image. Leave 0 where left and right differ, as in text, digits or "
            "captions that say left.",
            json_schema_extra=_extra("basic"),
        ),
    ] = 0.0
    early_stopping_patience: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Early stopping patience",
            description="Stop after this many epochs in which the task's primary metric did not get better. 0: never.",
            json_schema_extra=_extra("basic", "epochs"),
        ),
    ] = 0
    freeze: Annotated[
        Literal["none", "backbone"],
        Field(
            title="Freeze",
            description="backbone: the pretrained encoder keeps its weights, only what follows it learns.",
            json_schema_extra=_extra("basic"),
        ),
    ] = "none"
    class_weights: Annotated[
        Literal["none", "balanced"],
        Field(
            title="Class weights",
            description="balanced: rare classes weigh more in the loss (inverse frequency, mean 1). Classification and "
            "semantic segmentation only.",
            json_schema_extra=_extra("basic"),
        ),
    ] = "none"
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd"],
        Field(
            title="Optimizer",
            description="The update rule. sgd means Nesterov momentum.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = "adamw"
    weight_decay: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Weight decay",
            description="Not applied to biases and normalisation layers.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 0.01
    momentum: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Momentum",
            description="For sgd; the others ignore it.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 0.9
    backbone_lr_ratio: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Backbone learning rate",
            description="The backbone's learning rate as a share of the job's. DETR was trained with 0.1.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 1.0
    warmup_epochs: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="Warm-up",
            description="The learning rate rises linearly for this long, then falls along a cosine.",
            json_schema_extra=_extra("advanced", "epochs"),
        ),
    ] = 0.5
    min_lr_ratio: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Final learning rate",
            description="Where the cosine ends, as a share of the peak.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 0.01
    label_smoothing: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Label smoothing",
            description="Probability mass given to the other classes or words. Classification and captioning only.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 0.0
    dropout: Annotated[
        float | None,
        Field(
            ge=0,
            lt=1,
            title="Dropout",
            description="Dropout between the layers. Not set: the model's own.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = None
    ema_decay: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Weight averaging (EMA) decay",
            description="The averaged weights are the ones validated and kept. 0 switches averaging off.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 0.0
    grad_accumulation: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            title="Gradient accumulation",
            description="Batches per update of the weights.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 1
    clip_grad: Annotated[
        float | None,
        Field(
            gt=0,
            le=1000,
            title="Gradient clipping",
            description="Largest norm of the gradients. Not set: no limit.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = 1.0
    amp: Annotated[
        Literal["auto", "bf16", "fp16", "off"],
        Field(
            title="Mixed precision",
            description="On a GPU: auto is bfloat16 where the GPU has it, else float16. Without effect on a CPU.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = "auto"
    auto_batch: Annotated[
        bool,
        Field(
            title="Find the batch size",
            description="On a GPU: take the largest batch that fits instead of the job's batch size, and report it.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = False
    max_words: Annotated[
        int,
        Field(
            ge=4,
            le=200,
            title="Longest caption",
            description="Words (tokens) a caption has at most.",
            json_schema_extra=_extra("advanced", "tokens"),
        ),
    ] = 32
    num_workers: Annotated[
        int | None,
        Field(
            ge=0,
            le=64,
            title="Loader threads",
            description="Threads that prepare images; 0: the training itself does. Not set: from the CPUs.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = None
    resume_with_other_config: Annotated[
        bool,
        Field(
            title="Resume with other settings",
            description="Continue a checkpoint although it was made with other settings.",
            json_schema_extra=_extra("advanced"),
        ),
    ] = False


class _DerivedSettings(BaseModel):
    """What evaluate, predict and export share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,31}$",
            title="Split",
            description="The part of the dataset to use. Not set: val, or test where there is no val.",
            json_schema_extra=_extra("basic"),
        ),
    ] = None


class EvaluateSettings(_DerivedSettings):
    """config of an evaluation."""

    worst: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            title="Worst samples",
            description="How many of the worst samples are listed and drawn.",
            json_schema_extra=_extra("basic"),
        ),
    ] = 16


class PredictSettings(_DerivedSettings):
    """config of a prediction. `images` is put in by the platform, it is not the user's to write."""

    score_threshold: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Smallest score",
            description="Objects that are less sure than this are left out.",
            json_schema_extra=_extra("basic"),
        ),
    ] = 0.3
    max_overlays: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Overlays",
            description="How many images are drawn with their prediction.",
            json_schema_extra=_extra("basic"),
        ),
    ] = 50
    images: Annotated[list[str] | None, Field(max_length=1000)] = None


class ExportSettings(_DerivedSettings):
    """config of an export."""

    parity_samples: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            title="Parity samples",
            description="Images on which the exported model is compared.",
            json_schema_extra=_extra("basic"),
        ),
    ] = 16


def check_for_task(settings: TrainSettings, task_type: str) -> None:
    """Raises BAD_CONFIG for a setting that this task cannot honour: nothing the user sets is silently ignored."""
    allowed = {
        "class_weights": (settings.class_weights != "none", ("image_classification", "semantic_segmentation")),
        "label_smoothing": (settings.label_smoothing > 0, ("image_classification", "image_captioning")),
    }
    for name, (is_set, tasks) in allowed.items():
        if is_set and task_type not in tasks:
            raise TrainerFailure(
                FailureCode.BAD_CONFIG,
                f"CONFIG_JSON.{name}: found a value, but {task_type} has no use for it (only {' and '.join(tasks)}).",
            )


def identity_of_run(env: TrainerEnvironment, settings: TrainSettings) -> dict[str, Any]:
    """Everything that decides the result (see the kit's run_identity)."""
    return run_identity(env, settings.model_dump(exclude=set(_NOT_PART_OF_THE_RESULT)))
