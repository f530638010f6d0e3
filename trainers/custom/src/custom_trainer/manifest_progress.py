"""Where the repository says how far it is, and how well it does."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from .manifest_part import MetricName, Part, Pattern, Template


class Metric(Part):
    """What a figure of the source is called in the contract: value * scale + offset."""

    name: MetricName
    scale: float = 1.0
    offset: float = 0.0


class Progress(Part):
    """One place where the repository says how far it is. A line that does not fit is passed over.

    from: stdout, stderr or output (both), or file with `path` (template, `*` allowed; files that appear later are
    found). format: json_lines (one object a line; a field `a.b` looks into objects), csv (a header, or `columns`),
    regex (`pattern` with named groups), tensorboard (event files below `path`; a metric's key is the tag; the event's
    step is the epoch or the step, by `kind`).
    """

    source: Annotated[Literal["stdout", "stderr", "output", "file"], Field(alias="from")]
    path: Template | None = None
    format: Literal["json_lines", "csv", "regex", "tensorboard"]
    pattern: Pattern | None = None
    # csv without a header; delimiter None: any white space.
    columns: list[str] | None = None
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = ","
    # A line speaks of a step or closes an epoch.
    kind: Literal["step", "epoch"]
    # Only lines in which these fields have these texts: {"mode": "val"}.
    where: dict[str, str] = {}
    # The names of the fields or groups that tell the position; a value such as "3/10" tells both at once.
    epoch: str = "epoch"
    epochs: str = "epochs"
    step: str = "step"
    steps: str = "steps"
    # 0: the repository calls its first epoch 0. Steps count from 0 likewise where step_base is 0.
    epoch_base: Literal[0, 1] = 1
    step_base: Literal[0, 1] = 1
    # The split that the metrics belong to where their names do not tell (perf/…).
    split: Literal["train", "val", "test"] = "train"
    # Field or group or tag → contract name.
    metrics: dict[str, Metric | MetricName] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.source == "file" or self.format == "tensorboard") != (self.path is not None):
            raise ValueError("`path` belongs to `from: file`, and only to it")
        if self.format == "tensorboard" and self.source != "file":
            raise ValueError("TensorBoard events are read `from: file`")
        if (self.format == "regex") != (self.pattern is not None):
            raise ValueError("`pattern` belongs to `format: regex`, and only to it")
        return self

    def contract_metrics(self) -> dict[str, Metric]:
        """Field → metric in the long form."""
        return {key: Metric(name=item) if isinstance(item, str) else item for key, item in self.metrics.items()}
