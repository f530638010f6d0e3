"""trainer.json and all-models.json agree with the code, and every model in them can be trained."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest
import timm
import torch
from pydantic import BaseModel
from torch.nn import functional
from vision_trainer import contracts
from vision_trainer.failures import TrainerFailure
from vision_trainer.job_settings import read_settings, schema_of

from timm_trainer import catalogue
from timm_trainer.freezing import freeze
from timm_trainer.job_options import EvaluateOptions, ExportOptions, PredictOptions
from timm_trainer.model import build_model
from timm_trainer.settings import TimmSettings

CLASSES = 7
# Large enough for the five halvings of every network, small enough for a CPU.
_SIDE = 64
_LARGE = {"resnet101", "vgg16", "vgg19", "vit_base_patch16_224", "vit_large_patch16_224", "efficientnet_b4"}


def test_trainer_json_is_up_to_date_and_conforms() -> None:
    text = catalogue.TRAINER_JSON.read_text(encoding="utf-8")
    assert text == catalogue.render(), "run: python -m timm_trainer.catalogue"
    manifest = contracts.TrainerManifest.model_validate_json(text)
    assert set(manifest.kinds) == {"train", "evaluate", "predict", "export"}
    for schema in (manifest.hyperparameters, *(kind.options for kind in manifest.kinds.values() if kind.options)):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
        for definition in schema["properties"].values():
            assert {"title", "description", "x-group"} <= set(definition)
    assert "images" not in manifest.kinds["predict"].options["properties"]  # type: ignore[index]
    for model in manifest.models:
        assert model.weights and model.accuracy and model.recommended and model.memory_mb, model.name


def test_all_models_json_agrees_with_timm() -> None:
    entries = {entry["name"]: entry for entry in json.loads(catalogue.ALL_MODELS_JSON.read_text(encoding="utf-8"))}
    assert set(entries) == set(timm.list_models()), "run: python -m timm_trainer.catalogue --all"
    for entry in entries.values():
        contracts.CatalogueModel.model_validate(entry)
    for name in random.sample([name for name, entry in entries.items() if entry["params_m"] < 30], 5):
        assert entries[name] == catalogue.any_model(name)


def test_figures_are_those_of_the_listed_weights() -> None:
    by_name = {model["name"]: model for model in json.loads(catalogue.TRAINER_JSON.read_text())["models"]}
    assert by_name["resnet18"]["accuracy"]["value"] == 71.504
    assert by_name["resnet18"]["speed"]["value"] == 13537.15
    assert by_name["vit_large_patch16_224"]["accuracy"]["value"] == 85.856
    assert by_name["vgg16"]["weights"] == {
        "license": "bsd-3-clause",
        "source": "timm/vgg16.tv_in1k",
        "file": "model.safetensors",
    }


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.all_models) if name in _LARGE else name for name in catalogue.MODELS],
)
def test_a_listed_model_takes_a_step_with_the_right_head(name: str) -> None:
    # A ViT takes a multiple of its patch, a Swin one of its windows: 64 is no multiple of 7 x 4 x 8.
    side = 224 if name.startswith("swin") else _SIDE
    model = build_model(name, CLASSES, side, drop_rate=0.1)
    logits = model(torch.randn(2, 3, side, side))
    assert logits.shape == (2, CLASSES)
    torch.autograd.backward(functional.cross_entropy(logits, torch.tensor([0, CLASSES - 1])))
    gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    assert all(gradient is not None and bool(torch.isfinite(gradient).all()) for gradient in gradients)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("how", ["none", "half", "backbone"])
def test_freezing_leaves_the_head_and_stills_the_rest(name: str, how: str) -> None:
    model = build_model(name, CLASSES, _SIDE)
    still = freeze(model.train(), how)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    everything = {name for name, _ in model.named_parameters()}
    head = {name for name in everything if name.startswith(("fc.", "head.fc.", "head.", "classifier."))}
    if how == "none":
        assert trained == everything
        assert still == []
    elif how == "half":
        assert head < trained < everything
    else:
        assert trained <= head
        assert trained
    for module in still:
        assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize(
    "config",
    [{}, {"image_size": 64}, {"image_size": 5}, {"augmentation": "wild"}, {"unknown": 1}, {"clip_grad": None},
     {"clip_grad": 0}, {"momentum": 1}, {"weight_decay": 1}, {"amp": "yes"}, {"num_workers": 2}, {"freeze": "all"},
     {"class_weights": "balanced"}, {"mixup_alpha": -1}, {"cutmix_alpha": None}, {"auto_batch": 1}],
)  # fmt: skip
def test_the_schema_and_the_trainer_agree(config: dict[str, Any]) -> None:
    schema_says = jsonschema.Draft202012Validator(schema_of(TimmSettings, "settings")).is_valid(config)
    try:
        read_settings(TimmSettings, config)
        trainer_says = True
    except TrainerFailure as failure:
        trainer_says = False
        assert next(iter(config)) in failure.message
    assert schema_says == trainer_says


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (EvaluateOptions, {"split": "val"}),
        (EvaluateOptions, {"split": "../val"}),
        (EvaluateOptions, {"worst_samples": 101}),
        (PredictOptions, {"max_overlays": 0}),
        (PredictOptions, {"max_overlays": -1}),
        (ExportOptions, {"parity_samples": 3, "tolerance": 0.1}),
        (ExportOptions, {"tolerance": 0}),
        (ExportOptions, {"opset": 5}),
    ],
)
def test_the_options_of_the_other_kinds_agree_too(kind: type[BaseModel], config: dict[str, Any]) -> None:
    schema_says = jsonschema.Draft202012Validator(schema_of(kind, "options")).is_valid(config)
    try:
        read_settings(kind, config)
        trainer_says = True
    except TrainerFailure:
        trainer_says = False
    assert schema_says == trainer_says
