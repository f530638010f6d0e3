"""vision-trainer.yaml: everything the platform must know to train somebody's repository.

Here is the root; its parts are in the files manifest_*.py. Unknown keys are refused. Texts marked "template" may hold
`${name}` (see templates.py for the names); `$$` is a dollar sign. There is no shell anywhere: a command is a list of
words, and each word stays one word whatever is put into it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .manifest_catalogue import Catalogue
from .manifest_commands import Commands
from .manifest_data import ConfigFile, Dataset, DatasetFormat, Task, TaskName
from .manifest_part import Part, VariableName
from .manifest_process import Complete, ErrorRule, Limits, Resources, Signals
from .manifest_progress import Progress
from .manifest_results import Checkpoints, Export, Samples
from .manifest_source import Environment, License, Source
from .parameters import Parameter


class Manifest(Part):
    """One repository, or one model of it."""

    manifest: Literal[1]
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,60}$")]
    version: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    license: License
    source: Source = Source()
    environment: Environment | None = None
    tasks: Annotated[dict[TaskName, Task], Field(min_length=1)]
    dataset: Dataset
    parameters: Annotated[dict[VariableName, Parameter], Field(max_length=100)] = {}
    files: Annotated[list[ConfigFile], Field(max_length=20)] = []
    commands: Commands
    # Variables of every command's environment (templates); it is otherwise built from nothing.
    env: Annotated[dict[VariableName, str], Field(max_length=60)] = {}
    progress: Annotated[list[Progress], Field(max_length=20)] = []
    checkpoints: Checkpoints
    complete: Complete = Complete()
    errors: Annotated[list[ErrorRule], Field(max_length=50)] = []
    signals: Signals = Signals()
    limits: Limits = Limits()
    resources: Resources = Resources()
    samples: Samples = Samples()
    export: Export = Export()
    catalogue: Catalogue | None = None

    def format_of(self, task: str) -> DatasetFormat:
        """The data format of a task."""
        found = next((item for name, item in self.tasks.items() if name == task), None)
        return found.format if found is not None and found.format is not None else self.dataset.format
