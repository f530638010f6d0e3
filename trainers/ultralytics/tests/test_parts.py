# SPDX-License-Identifier: AGPL-3.0-only
"""The parts: catalogue, settings, order, batches in parts, weights in pickles, the models."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from vision_trainer.contracts import TrainerManifest
from vision_trainer.failures import TrainerFailure
from vision_trainer.job_settings import read_settings

from ultralytics_trainer import offline


@pytest.fixture(scope="module", autouse=True)
def framework(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The framework, as a job loads it."""
    from ultralytics_trainer.start import load_framework

    load_framework(tmp_path_factory.mktemp("framework"))
    # More threads than free CPUs make small networks slow.
    torch.set_num_threads(1)


def test_trainer_json_is_up_to_date_and_valid() -> None:
    from ultralytics_trainer.catalogue import TRAINER_JSON, trainer_manifest

    written = json.loads(TRAINER_JSON.read_text())
    assert written == trainer_manifest(), "run python -m ultralytics_trainer.catalogue"
    manifest = TrainerManifest.model_validate(written)
    assert manifest.license == "AGPL-3.0-only"
    assert manifest.enabled is False
    assert manifest.notice
    schemas = [
        written["hyperparameters"],
        *(kind["options"] for kind in written["kinds"].values() if "options" in kind),
    ]
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate({}, schema)
        assert schema["additionalProperties"] is False
        for name, definition in schema["properties"].items():
            assert {"title", "description", "x-group"} <= set(definition), name
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"optimizer": "auto"}, written["hyperparameters"])


def test_every_model_has_the_right_head_and_takes_a_step() -> None:
    from ultralytics_trainer.models import MODELS, build_module

    for name, model in MODELS.items():
        _take_a_step(build_module(model, 3, 5), name, 64)


@pytest.mark.all_models
def test_every_model_takes_a_step_at_its_own_size() -> None:
    from ultralytics_trainer.models import MODELS, build_module

    for name, model in MODELS.items():
        _take_a_step(build_module(model, 80, 17), name, model.input_size)


def _take_a_step(network: Any, name: str, size: int) -> None:
    head = network.model[-1]
    kinds = {"seg": "Segment", "pose": "Pose", "cls": "Classify"}
    assert type(head).__name__ == kinds.get(name.rpartition("-")[2], "Detect")
    classes = head.linear.out_features if hasattr(head, "linear") else head.nc
    assert classes in (3, 80)
    network.train()
    answer = network(torch.rand(2, 3, size, size))
    total = torch.stack([tensor.float().mean() for tensor in _tensors(answer)]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in network.model[0].parameters())


def _tensors(answer: Any) -> list[torch.Tensor]:
    if isinstance(answer, torch.Tensor):
        return [answer]
    values = answer.values() if isinstance(answer, dict) else answer
    return [tensor for value in values for tensor in _tensors(value)]


def test_an_epoch_shows_every_image_once_and_any_number_of_processes_share_it() -> None:
    from ultralytics_trainer.sampling import epoch_batches, epoch_order

    assert sorted(epoch_order(1, 0, 50)) == list(range(50))
    assert epoch_order(1, 0, 50) == epoch_order(1, 0, 50) != epoch_order(1, 1, 50)
    alone = epoch_batches(7, 3, 21, 8)
    assert [len(batch) for batch in alone] == [8, 8, 5]
    together = [epoch_batches(7, 3, 21, 8, rank=rank, ranks=2) for rank in (0, 1)]
    assert [len(batch) for batch in together[0]] == [len(batch) for batch in together[1]] == [4, 4, 3]
    assert sorted(together[0][0] + together[1][0]) == sorted(alone[0])
    # Batch normalisation needs two values where the image has shrunk to one.
    assert [len(batch) for batch in epoch_batches(7, 3, 9, 4, smallest=2)] == [4, 4, 2]


def test_a_batch_in_parts_keeps_each_object_with_its_image() -> None:
    from ultralytics_trainer.learner import split_batch

    batch = {
        "img": torch.arange(5).float().view(5, 1, 1, 1),
        "batch_idx": torch.tensor([0.0, 0, 1, 3, 4]),
        "cls": torch.tensor([[10.0], [11], [12], [13], [14]]),
        "bboxes": torch.zeros(5, 4),
        "im_file": list("abcde"),
    }
    parts = split_batch(batch, 2)
    assert [part["im_file"] for part in parts] == [["a", "b", "c"], ["d", "e"]]
    assert parts[0]["batch_idx"].tolist() == [0, 0, 1]
    assert parts[1]["batch_idx"].tolist() == [0, 1]
    assert parts[1]["cls"].flatten().tolist() == [13, 14]


def test_a_model_saved_by_the_framework_is_read_and_any_other_pickle_is_not(tmp_path: Path) -> None:
    from ultralytics_trainer.models import MODELS, build_module
    from ultralytics_trainer.pretrained import read_pickled

    network = build_module(MODELS["yolo11n"], 80)
    path = tmp_path / "yolo11n.pt"
    torch.save({"model": network.half(), "ema": None, "train_args": {"task": "detect"}, "date": "today"}, path)
    weights = read_pickled(path)
    assert weights.keys() == network.state_dict().keys()
    torch.save({"model": network, "callback": offline.prepare}, path)
    with pytest.raises(pickle.UnpicklingError):
        read_pickled(path)


def test_unknown_and_impossible_settings_are_named() -> None:
    from ultralytics_trainer.settings import UltralyticsSettings

    with pytest.raises(TrainerFailure, match=r"CONFIG_JSON.image_size.*CONFIG_JSON.lr0"):
        read_settings(UltralyticsSettings, {"image_size": 8, "lr0": 1})
