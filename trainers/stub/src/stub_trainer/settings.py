"""CONFIG_JSON: the pace, the curves, and what goes wrong when. trainer.json is made from these classes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from vision_trainer.failures import FailureCode, TrainerFailure

# Ways to break the contract. Each breaks one requirement of the conformance kit, and must be caught by it (lies.py).
Lie = Literal[
    "skip_a_number",
    "repeat_a_number",
    "not_started",
    "unknown_level",
    "oversized_event",
    "flood",
    "unknown_metric",
    "no_primary_metric",
    "late_event",
    "second_terminal",
    "missing_artifact",
    "wrong_hash",
    "manifest_first",
    "upload_after_result",
    "unpredictable",
    "other_learning_rate",
    "start_over",
    "accept_damage",
    "ignore_sigterm",
    "ignore_sigusr1",
    "ignore_time_limit",
    "ignore_replacement",
    "wrong_exit_code",
    "print_secret",
    "child_with_secrets",
    "write_outside",
    "leave_file",
    "leave_process",
    "block_on_events",
    "quiet_heart",
]


class Fault(BaseModel):
    """Something that happens at one step, in one attempt or in all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: Annotated[
        Literal["hang", "freeze", "allocate", "kill", "exit", "fail", "crash", "non_finite", "torn_checkpoint"],
        Field(
            title="What happens",
            description="hang: the loop stands still, heartbeats go on. freeze: SIGSTOP. allocate: takes memory until "
            "it is killed. kill: SIGKILL. exit: ends without a last word. fail: says so. crash: an unexpected "
            "exception. non_finite: the loss is NaN from then on. torn_checkpoint: dies in the middle of an upload.",
        ),
    ]
    at_step: Annotated[int, Field(ge=1, title="Step", description="Counted over all epochs.")] = 1
    attempt: Annotated[int | None, Field(ge=1, title="Only in this attempt")] = None
    exit_code: Annotated[int, Field(ge=0, le=255, title="Exit code", description="For exit.")] = 1
    code: Annotated[FailureCode, Field(title="Failure code", description="For fail.")] = FailureCode.FRAMEWORK_ERROR
    mebibytes: Annotated[
        int, Field(ge=1, le=1 << 20, title="Limit", description="For allocate.", json_schema_extra={"x-unit": "MiB"})
    ] = 1 << 20


class StubSettings(BaseModel):
    """What a training may be told beyond epochs, batch size, learning rate and seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Annotated[
        int | None,
        Field(ge=1, le=10_000_000, title="Steps an epoch", description="Not set: as many as the data has batches."),
    ] = None
    steps_per_s: Annotated[
        float,
        Field(gt=0, le=1_000_000, title="Pace", json_schema_extra={"x-unit": "1/s"}),
    ] = 100.0
    checkpoint_bytes: Annotated[
        int,
        Field(
            ge=0,
            le=1 << 34,
            title="Size of a checkpoint",
            description="Padding beside the model's few numbers.",
            json_schema_extra={"x-unit": "bytes"},
        ),
    ] = 0
    curves: Annotated[
        dict[str, list[float]],
        Field(
            title="Curves", description="Metric → value for each epoch, the last one repeated, instead of the walk's."
        ),
    ] = Field(default_factory=dict)
    read_dataset: Annotated[
        bool,
        Field(title="Read the dataset", description="False: 64 samples of two classes, without a download."),
    ] = True
    grad_accumulation: Annotated[int, Field(ge=1, le=1024, title="Accumulation")] = 1
    pretrained: Annotated[
        bool, Field(title="Pretrained", description="Start from the weights that PRETRAINED_URI names.")
    ] = False
    faults: Annotated[list[Fault], Field(title="Faults")] = Field(default_factory=list)
    lies: Annotated[
        list[Lie],
        Field(title="Lies", description="Ways to break the contract; each must be caught by the conformance kit."),
    ] = Field(default_factory=list)


class DerivedSettings(BaseModel):
    """What evaluate, predict and export may be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Annotated[
        Literal["train", "val", "test"] | None, Field(title="Split", description="Not set: val, else test.")
    ] = None
    images: Annotated[
        list[str] | None, Field(title="Images", description="s3:// addresses to predict on, instead of a split.")
    ] = None
    parity_samples: Annotated[int, Field(ge=1, le=10_000, title="Samples compared", description="For export.")] = 16


_Settings = TypeVar("_Settings", bound=BaseModel)


def read_settings(model: type[_Settings], config: dict[str, Any]) -> _Settings:
    """CONFIG_JSON as settings. Raises BAD_CONFIG naming each bad field, what was found and what is expected."""
    try:
        return model.model_validate(config)
    except ValidationError as error:
        lines = [
            f"CONFIG_JSON.{'.'.join(map(str, problem['loc']))}: found {problem['input']!r:.120}, {problem['msg']}."
            for problem in error.errors()
        ]
        raise TrainerFailure(FailureCode.BAD_CONFIG, " ".join(lines)) from error
