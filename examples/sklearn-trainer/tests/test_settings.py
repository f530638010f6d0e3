"""The form that users see and the settings that the program knows are the same."""

import json
from pathlib import Path

import pytest
from vision_trainer.failures import TrainerFailure

from sklearn_trainer.train import DEFAULTS, read_settings

MANIFEST = json.loads((Path(__file__).parents[1] / "trainer.json").read_text())


def test_defaults_are_those_of_the_manifest() -> None:
    properties = MANIFEST["hyperparameters"]["properties"]
    assert {name: about["default"] for name, about in properties.items()} == DEFAULTS


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(TrainerFailure, match="colour"):
        read_settings({"colour": "red"})
