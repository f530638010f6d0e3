"""The hyperparameters of CONFIG_JSON. trainer.json's JSON Schema is generated from this class (catalogue.py)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from vision_trainer.environment import TrainerEnvironment
from vision_trainer.job_settings import run_identity

# Settings that change how fast or where a job runs, never what it computes.
_NOT_PART_OF_THE_RESULT = ("num_workers", "resume_with_other_config")


def _shown(group: Literal["basic", "advanced"], unit: str | None = None) -> dict[str, Any]:
    """How a form shows the setting: at once or behind "advanced", and in which unit."""
    return {"x-group": group, **({"x-unit": unit} if unit else {})}


class TimmSettings(BaseModel):
    """Everything a user may set beyond epochs, batch size, learning rate and seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_size: Annotated[
        int | None,
        Field(
            ge=16,
            le=1024,
            title="Image size",
            description="Side of the square the images are scaled to. Not set: the model's own size, or less where the "
            "dataset's images are smaller.",
            json_schema_extra=_shown("basic", "px"),
        ),
    ] = None
    mixed_sizes: Annotated[
        bool,
        Field(
            title="Mixed sizes",
            description="Each step trains at 75, 100 or 125 % of the image size. Not for models of one fixed size.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = False
    optimizer: Annotated[
        Literal["adamw", "sgd", "adam", "lamb", "rmsprop"],
        Field(
            title="Optimizer",
            description="The update rule. sgd means Nesterov momentum.",
            json_schema_extra=_shown("basic"),
        ),
    ] = "adamw"
    weight_decay: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Weight decay",
            description="Not applied to biases and normalisation layers.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = 0.05
    momentum: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Momentum",
            description="For sgd and rmsprop; the others ignore it.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = 0.9
    warmup_epochs: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="Warm-up",
            description="The learning rate rises linearly for this long, then falls along a cosine.",
            json_schema_extra=_shown("advanced", "epochs"),
        ),
    ] = 0.5
    min_lr_ratio: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Final learning rate",
            description="Where the cosine ends, as a share of the peak.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = 0.01
    label_smoothing: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Label smoothing",
            description="Probability mass given to the other classes.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = 0.1
    class_weights: Annotated[
        Literal["none", "balanced"],
        Field(
            title="Class weights",
            description="balanced: images of rare classes count more, so that every class counts the same in all.",
            json_schema_extra=_shown("basic"),
        ),
    ] = "none"
    augmentation: Annotated[
        Literal["none", "light", "standard", "randaugment", "strong"],
        Field(
            title="Augmentation",
            description="none: resize only. light: small random crops. standard: large crops and colour changes. "
            "randaugment: light, then two random operations an image. strong: standard, randaugment, mixup and cutmix.",
            json_schema_extra=_shown("basic"),
        ),
    ] = "light"
    crop_scale_min: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            title="Smallest crop",
            description="Smallest share of the image's area that a random crop keeps. Not set: the preset's.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = None
    horizontal_flip: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Horizontal flip",
            description="Probability of a mirror image. Leave 0 where left and right differ, as in text or digits.",
            json_schema_extra=_shown("basic"),
        ),
    ] = 0.0
    mixup_alpha: Annotated[
        float | None,
        Field(
            ge=0,
            le=10,
            title="Mixup",
            description="Blends pairs of images; larger blends more. 0: never. Not set: the preset's.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = None
    cutmix_alpha: Annotated[
        float | None,
        Field(
            ge=0,
            le=10,
            title="CutMix",
            description="Pastes a piece of another image; with mixup, each batch does one of the two. 0: never. "
            "Not set: the preset's.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = None
    freeze: Annotated[
        Literal["none", "half", "backbone"],
        Field(
            title="Frozen layers",
            description="Layers that keep their weights. half: the first half of the layers. backbone: all but the "
            "classifier. Only sensible with pretrained weights.",
            json_schema_extra=_shown("basic"),
        ),
    ] = "none"
    ema_decay: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Weight averaging (EMA) decay",
            description="The averaged weights are the ones validated and kept. 0 switches averaging off.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = 0.999
    early_stopping_patience: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Early stopping patience",
            description="Stop after this many epochs without a better val/top1. 0: never.",
            json_schema_extra=_shown("basic", "epochs"),
        ),
    ] = 0
    grad_accumulation: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            title="Gradient accumulation",
            description="Batches per update of the weights.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = 1
    auto_batch: Annotated[
        bool,
        Field(
            title="Find the batch size",
            description="On a GPU: take the largest batch that fits into its memory instead of the batch size given. "
            "The learning rate stays as it is. On a CPU the given batch size is kept.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = False
    clip_grad: Annotated[
        float | None,
        Field(
            gt=0,
            le=1000,
            title="Gradient clipping",
            description="Largest norm of the gradients. Not set: no limit.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = None
    drop_rate: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Dropout",
            description="Dropout before the classifier.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = 0.0
    drop_path_rate: Annotated[
        float | None,
        Field(
            ge=0,
            lt=1,
            title="Stochastic depth",
            description="Probability of skipping a block, where supported.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = None
    amp: Annotated[
        bool,
        Field(
            title="Mixed precision",
            description="Use bfloat16 or float16 on a GPU. Without effect on a CPU.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = True
    pretrained: Annotated[
        bool,
        Field(
            title="Pretrained weights",
            description="Start from published weights: from the platform's store, or from the hub if allowed.",
            json_schema_extra=_shown("basic"),
        ),
    ] = False
    num_workers: Annotated[
        int | None,
        Field(
            ge=0,
            le=64,
            title="Loader threads",
            description="Threads that prepare images; 0: the training itself does. Not set: from the CPUs.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = None
    resume_with_other_config: Annotated[
        bool,
        Field(
            title="Resume with other settings",
            description="Continue a checkpoint although it was made with other settings.",
            json_schema_extra=_shown("advanced"),
        ),
    ] = False


def identity_of_run(env: TrainerEnvironment, settings: TimmSettings) -> dict[str, Any]:
    """Everything that decides the result (see the kit's run_identity)."""
    return run_identity(env, settings.model_dump(exclude=set(_NOT_PART_OF_THE_RESULT)))
