"""What runs for each kind of job."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .manifest_part import Part, Template, VariableName

JobCommand = Literal["prepare", "train", "resume", "evaluate", "predict", "export"]


class When(Part):
    """Words of a command that are there only if the variable has a value that is not empty, 0 or false.

    `equals`: only if the variable's text is this one. `unless`: turn the condition round.
    """

    when: Annotated[str, StringConstraints(max_length=80)]
    equals: str | None = None
    unless: bool = False
    args: list[Template]


class Command(Part):
    """A program and its words. The word `${params}` alone stands for the words of all parameters with `maps_to`.

    `python` as the first word is the environment's. A plain list is short for `argv`.
    """

    argv: Annotated[list[Template | When], Field(min_length=1, max_length=400)]
    cwd: Template = "${source}"
    env: dict[VariableName, str] = {}


CommandInput = Command | Annotated[list[Template | When], Field(min_length=1, max_length=400)]


class Commands(Part):
    """What runs for each kind of job. `prepare` runs before every other one; its failure is the job's.

    `resume` may be left out if the repository cannot resume: a resumed job then starts anew, and says so.
    evaluate writes `${report}`, predict writes `${predictions}`, export writes `${export}/model.onnx` (see outputs.py).
    """

    prepare: CommandInput | None = None
    train: CommandInput
    resume: CommandInput | None = None
    evaluate: CommandInput | None = None
    predict: CommandInput | None = None
    export: CommandInput | None = None

    def named(self, name: JobCommand) -> Command | None:
        """The command in its long form, or None where the manifest has none."""
        found: Command | list[str | When] | None = getattr(self, name)
        return Command(argv=found) if isinstance(found, list) else found
