"""trainer.json and the code agree."""

from __future__ import annotations

import json
from pathlib import Path

from vision_trainer.contracts import TrainerManifest

from dataset_trainer.config import DEFAULT_VAL_FRACTION
from dataset_trainer.formats import AUTO, FORMATS, TASKS, formats_for

MANIFEST = json.loads(Path(__file__).parents[1].joinpath("trainer.json").read_text())


def test_the_manifest_is_valid() -> None:
    TrainerManifest.model_validate(MANIFEST)
    assert MANIFEST["kinds"]["ingest"]["command"] == ["python", "-m", "dataset_trainer"]


def test_defaults_are_those_of_the_code() -> None:
    properties = MANIFEST["hyperparameters"]["properties"]
    assert properties["val_fraction"]["default"] == DEFAULT_VAL_FRACTION
    assert properties["skip_bad_files"]["default"] is False
    assert properties["format"]["default"] == AUTO
    assert properties["format"]["enum"] == [AUTO, *FORMATS]


def test_every_task_can_be_ingested() -> None:
    assert tuple(MANIFEST["tasks"]) == TASKS
    assert all(formats_for(task) for task in TASKS)
