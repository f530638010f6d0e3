"""Manifests, templates, settings: what is refused, and with which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from vision_trainer.contracts import TrainerManifest
from vision_trainer.failures import FailureCode, TrainerFailure

from custom_trainer import catalogue, manifest_file
from custom_trainer.manifest_file import LoadedManifest, load_inner, load_manifest, load_ready, ready_manifests
from custom_trainer.parameters import Parameter, check_values, words
from custom_trainer.templates import TemplateError, fill, fill_argv

REFERENCE = manifest_file.READY_MANIFESTS / "reference" / "manifest.yaml"


def changed(tmp_path: Path, **changes: Any) -> LoadedManifest:
    """The reference manifest with other keys, read from a file. None takes a key out."""
    content = yaml.safe_load(REFERENCE.read_text()) | {"source": {}} | changes
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return load_manifest(path)


@pytest.mark.parametrize("name", ready_manifests())
def test_ready_manifests_are_whole(name: str) -> None:
    loaded = load_ready(name)
    assert loaded.manifest.catalogue is not None
    source = loaded.manifest.source
    assert source.folder or (source.git and source.commit)


def test_trainer_json_is_up_to_date() -> None:
    assert catalogue.TRAINER_JSON.read_text() == catalogue.render(), "run python -m custom_trainer.catalogue"
    found = TrainerManifest.model_validate(catalogue.trainer_manifest())
    for schema in (found.hyperparameters, *(model.hyperparameters or {} for model in found.models)):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("changes", "words_"),
    [
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"commands": None}, "commands: Field required"),
        ({"commands": {"train": ["python", "${outptu}"]}}, "commands.train: ${outptu}"),
        ({"env": {"A": "${params.nothing}"}}, "env: ${params.nothing}"),
        ({"errors": [{"pattern": "(?=x)", "code": "DIVERGED"}]}, "no RE2 expression"),
        ({"errors": [{"pattern": "x", "code": "NO_CODE"}]}, "errors.0.code"),
        ({"source": {"git": "https://a/b", "commit": "main"}}, "source.commit"),
        ({"source": {"folder": "../.."}}, "relative path"),
        ({"files": [{"template": "/etc/passwd", "to": "${output}/x"}]}, "relative path"),
        ({"files": [{"template": "none.yaml", "to": "${output}/x"}]}, "none.yaml, which is not beside it"),
        ({"progress": [{"from": "stdout", "format": "regex", "kind": "step"}]}, "`pattern` belongs"),
        ({"progress": [{"from": "file", "format": "csv", "kind": "step"}]}, "`path` belongs"),
        ({"tasks": {"image_classification": {"primary_metric": "accuracy"}}}, "primary_metric"),
        ({"parameters": {"a": {"type": "integer", "title": "A", "default": 1.5}}}, "default"),
        ({"environment": {"requirements": "requirements.lock", "shims": "shims"}}, "not beside it"),
        ({"name": "Has Spaces"}, "name"),
    ],
)
def test_bad_manifests_are_refused(tmp_path: Path, changes: dict[str, Any], words_: str) -> None:
    with pytest.raises(TrainerFailure) as failure:
        changed(tmp_path, **changes)
    assert failure.value.code is FailureCode.BAD_CONFIG
    assert words_ in failure.value.message


@pytest.mark.parametrize(
    "text",
    ["a: &x [1]\nb: *x", "[" * 3000, "key: [unclosed", "!!python/object/apply:os.system [id]", "just text", "", "\0"],
)
def test_yaml_traps(tmp_path: Path, text: str) -> None:
    (tmp_path / "vision-trainer.yaml").write_text(text)
    with pytest.raises(TrainerFailure) as failure:
        load_inner(tmp_path, "vision-trainer.yaml")
    assert failure.value.code is FailureCode.BAD_CONFIG


def test_a_manifest_that_is_a_link_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "secret.yaml").write_text("manifest: 1")
    (tmp_path / "source/vision-trainer.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(TrainerFailure, match="holds no manifest"):
        load_inner(tmp_path / "source", "vision-trainer.yaml")


def test_templates() -> None:
    variables = {"output": Path("/o"), "lr": 1e-4, "gpu": False, "classes": ["a b", 'q"'], "none": None, "epochs": 3}
    assert fill("${output}/x $$ ${lr} ${epochs} ${gpu}[${none}]", variables) == "/o/x $ 0.0001 3 false[]"
    assert json.loads(fill("${classes:json}", variables)) == ["a b", 'q"']
    for bad in ("${classes}", "${missing}"):
        with pytest.raises(TemplateError):
            fill(bad, variables)


def test_one_word_stays_one_word() -> None:
    """Whatever a value holds, it cannot become a second argument or an option of its own."""
    parameter = Parameter(type="string", title="Name", pattern=".*", maps_to=["--name", "${value}"])
    evil = "x --delete; $(rm -rf /) ${output}"
    assert words({"name": parameter}, {"name": evil}) == ["--name", evil]
    argv = fill_argv(["run", "${params}"], {"output": "/o"}, words({"name": parameter}, {"name": evil}))
    assert argv == ["run", "--name", evil]


@pytest.mark.parametrize("value", ["-rf", "--lr=3", "a b", "a;b", "", "$(x)", "a\nb", "x" * 300])
def test_texts_are_plain_unless_a_pattern_says_otherwise(value: str) -> None:
    parameters = {"name": Parameter(type="string", title="Name")}
    with pytest.raises(ValueError, match="name: is"):
        check_values(parameters, {"name": value})


def test_values_and_defaults() -> None:
    parameters = {
        "rate": Parameter(type="number", title="Rate", default=0.5, minimum=0, maximum=1),
        "flag": Parameter(type="boolean", title="Flag", maps_to=["--on"], maps_to_false=["--off"]),
        "mode": Parameter(type="string", title="Mode", enum=["a", "b"]),
    }
    assert check_values(parameters, {}) == {"rate": 0.5, "flag": None, "mode": None}
    values = check_values(parameters, {"flag": False, "mode": "b", "rate": 1})
    assert words(parameters, values) == ["--off"]
    with pytest.raises(ValueError, match=r"rate: is 2.*flag: is 1.*mode: is 'c'"):
        check_values(parameters, {"rate": 2, "flag": 1, "mode": "c"})
