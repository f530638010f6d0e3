"""The hyperparameters of CONFIG_JSON. trainer.json's JSON Schema is generated from this class (catalogue.py)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from vision_trainer.environment import TrainerEnvironment
from vision_trainer.failures import FailureCode, TrainerFailure

# Settings that change how fast or where a job runs, never what it computes.
_NOT_PART_OF_THE_RESULT = ("num_workers", "resume_with_other_config")


def _unit(unit: str) -> dict[str, Any]:
    return {"x-unit": unit}


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
            json_schema_extra=_unit("px"),
        ),
    ] = None
    optimizer: Annotated[
        Literal["adamw", "sgd", "adam", "lamb", "rmsprop"],
        Field(title="Optimizer", description="The update rule. sgd means Nesterov momentum."),
    ] = "adamw"
    weight_decay: Annotated[
        float, Field(ge=0, le=1, title="Weight decay", description="Not applied to biases and normalisation layers.")
    ] = 0.05
    momentum: Annotated[
        float, Field(ge=0, lt=1, title="Momentum", description="For sgd and rmsprop; the others ignore it.")
    ] = 0.9
    warmup_epochs: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="Warm-up",
            description="The learning rate rises linearly for this long, then falls along a cosine.",
            json_schema_extra=_unit("epochs"),
        ),
    ] = 0.5
    min_lr_ratio: Annotated[
        float,
        Field(ge=0, le=1, title="Final learning rate", description="Where the cosine ends, as a share of the peak."),
    ] = 0.01
    label_smoothing: Annotated[
        float, Field(ge=0, lt=1, title="Label smoothing", description="Probability mass given to the other classes.")
    ] = 0.1
    augmentation: Annotated[
        Literal["none", "light", "standard"],
        Field(
            title="Augmentation",
            description="none: resize only. light: small random crops. standard: large crops and colour changes.",
        ),
    ] = "light"
    crop_scale_min: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            title="Smallest crop",
            description="Smallest share of the image's area that a random crop keeps. Not set: the preset's.",
        ),
    ] = None
    horizontal_flip: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="Horizontal flip",
            description="Probability of a mirror image. Leave 0 where left and right differ, as in text or digits.",
        ),
    ] = 0.0
    ema_decay: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Weight averaging (EMA) decay",
            description="The averaged weights are the ones validated and kept. 0 switches averaging off.",
        ),
    ] = 0.999
    early_stopping_patience: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Early stopping patience",
            description="Stop after this many epochs without a better val/top1. 0: never.",
            json_schema_extra=_unit("epochs"),
        ),
    ] = 0
    grad_accumulation: Annotated[
        int,
        Field(ge=1, le=256, title="Gradient accumulation", description="Batches per update of the weights."),
    ] = 1
    clip_grad: Annotated[
        float | None,
        Field(
            gt=0, le=1000, title="Gradient clipping", description="Largest norm of the gradients. Not set: no limit."
        ),
    ] = None
    drop_rate: Annotated[float, Field(ge=0, lt=1, title="Dropout", description="Dropout before the classifier.")] = 0.0
    drop_path_rate: Annotated[
        float | None,
        Field(ge=0, lt=1, title="Stochastic depth", description="Probability of skipping a block, where supported."),
    ] = None
    amp: Annotated[
        bool, Field(title="Mixed precision", description="Use bfloat16 or float16 on a GPU. Without effect on a CPU.")
    ] = True
    pretrained: Annotated[
        bool,
        Field(
            title="Pretrained weights",
            description="Start from published weights: from PRETRAINED_URI, or the hub if the network is allowed.",
        ),
    ] = False
    num_workers: Annotated[
        int | None,
        Field(ge=0, le=64, title="Loader threads", description="Threads that prepare images. Not set: from the CPUs."),
    ] = None
    resume_with_other_config: Annotated[
        bool,
        Field(
            title="Resume with other settings",
            description="Continue a checkpoint although it was made with other settings.",
        ),
    ] = False


def read_settings(config: dict[str, Any]) -> TimmSettings:
    """Checks CONFIG_JSON. Raises TrainerFailure(BAD_CONFIG) that names each bad setting."""
    try:
        return TimmSettings.model_validate(config, strict=True)
    except ValidationError as error:
        lines = [
            f"CONFIG_JSON.{'.'.join(map(str, problem['loc']))}: found {problem['input']!r}, {problem['msg']}."
            for problem in error.errors()
        ]
        raise TrainerFailure(FailureCode.BAD_CONFIG, " ".join(lines)[:2000]) from None


def identity_of_run(env: TrainerEnvironment, settings: TimmSettings) -> dict[str, Any]:
    """Everything that decides the result: two runs in which it is equal may continue each other's checkpoints."""
    return {
        "framework": env.framework,
        "task_type": env.task_type,
        "model_name": env.model_name,
        "dataset_id": env.dataset_id,
        "dataset_version": env.dataset_version,
        "epochs": env.epochs,
        "batch_size": env.batch_size,
        "learning_rate": env.learning_rate,
        "seed": env.seed,
        "config": settings.model_dump(exclude=set(_NOT_PART_OF_THE_RESULT)),
    }
