"""The manifests that come with this trainer: they load, their templates fill, logs of real runs are understood.

tests/recorded/<manifest>/ holds what the repositories really wrote (bench/results tells when): stdout.log,
stderr.log, and below output/ the files that they wrote there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from custom_trainer.log_files import LineSplitter
from custom_trainer.manifest import Manifest
from custom_trainer.manifest_commands import JobCommand
from custom_trainer.manifest_file import LoadedManifest, load_ready, ready_manifests
from custom_trainer.parameters import check_values, words
from custom_trainer.progress_lines import Update
from custom_trainer.progress_sources import ProgressSources, known_metrics
from custom_trainer.templates import fill, fill_argv

RECORDED = Path(__file__).with_name("recorded")
REAL = ("convnext", "pp_yolo", "vitpose", "yolov7")
COMMANDS: tuple[JobCommand, ...] = ("prepare", "train", "resume", "evaluate", "predict", "export")
CLASSES = ['a "quoted" name', "no", "1e3", "ünïcode: #x"]


def variables_of(manifest: Manifest, output: Path, **changes: Any) -> dict[str, Any]:
    """Every variable that a template may name."""
    params = check_values(manifest.parameters, {})
    folders = ("source", "manifest_dir", "job", "data", "tmp", "train_dir", "val_dir", "test_dir", "eval_dir", "images")
    files = ("train_json", "val_json", "test_json", "eval_json", "data_yaml", "images_json", "predictions", "report")
    return {
        **{
            name: output / name
            for name in (*folders, *files, "export", "checkpoint", "checkpoint_stem", "checkpoint_dir")
        },
        "output": output,
        "classes": CLASSES,
        "num_classes": len(CLASSES),
        "train_samples": 32,
        "val_samples": 8,
        "keypoint_names": ["left", "right"],
        "num_keypoints": 2,
        "flip_indices": [1, 0],
        "skeleton": [[0, 1]],
        "task": next(iter(manifest.tasks)),
        "eval_split": "val",
        "epochs": 7,
        "batch_size": 8,
        "learning_rate": 0.00123,
        "seed": 42,
        "device": "cpu",
        "device_type": "cpu",
        "gpu": False,
        "gpu_index": "",
        "num_workers": 0,
        "num_processes": 1,
        "distributed": False,
        "batch_per_process": 8,
        "gpu_indices": "",
        "port": 29400,
        "threads": 2,
        "python": "python",
        "pretrained": "",
        **{f"params.{name}": value for name, value in params.items()},
        **changes,
    }


def commands_of(loaded: LoadedManifest, variables: dict[str, Any]) -> dict[str, list[str]]:
    """The words of every command that the manifest has."""
    params = words(loaded.manifest.parameters, check_values(loaded.manifest.parameters, {}))
    found: dict[str, list[str]] = {}
    for name in COMMANDS:
        command = loaded.manifest.commands.named(name)
        if command is not None:
            found[name] = fill_argv(command.argv, variables, params)
            assert all(found[name]), f"{name} has an empty word"
    return found


def test_the_four_repositories_are_there() -> None:
    assert set(REAL) <= set(ready_manifests())


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("gpu", [False, True])
def test_every_template_fills(name: str, gpu: bool, tmp_path: Path) -> None:
    loaded = load_ready(name)
    changes = (
        {"gpu": True, "gpu_index": "0", "gpu_indices": "0", "device": "cuda:0", "device_type": "cuda"} if gpu else {}
    )
    variables = variables_of(loaded.manifest, tmp_path, **changes)
    assert set(commands_of(loaded, variables)) >= {"train", "resume", "evaluate", "predict", "export"}
    for file in loaded.manifest.files:
        text = fill((loaded.folder / file.template).read_text(encoding="utf-8"), variables)
        if file.template.endswith(".json"):
            assert json.loads(text)
        elif file.template.endswith(".yaml"):
            assert yaml.safe_load(text)
        else:
            compile(text, file.template, "exec")
    for value in loaded.manifest.env.values():
        fill(value, variables)


@pytest.mark.parametrize("name", REAL)
def test_the_jobs_settings_arrive(name: str, tmp_path: Path) -> None:
    """Learning rate, epochs, batch and seed stand in the training's words, or in a file that they name."""
    loaded = load_ready(name)
    variables = variables_of(loaded.manifest, tmp_path, batch_size=13, batch_per_process=13, epochs=17, seed=4711)
    handed = " ".join(commands_of(loaded, variables)["train"])
    for file in loaded.manifest.files:
        assert fill(file.to, variables) in handed or "settings" in file.to
        handed += fill((loaded.folder / file.template).read_text(encoding="utf-8"), variables)
    for value in ("0.00123", "13", "17", "4711"):
        assert value in handed, f"{value} does not arrive"


@pytest.mark.parametrize(("name", "batch"), [("convnext", "--batch_size 6"), ("yolov7", "--batch-size 12")])
def test_several_processes_are_started_by_torchrun(name: str, batch: str, tmp_path: Path) -> None:
    """ConvNeXt counts the images of one process, YOLOv7 those of all."""
    loaded = load_ready(name)
    assert loaded.manifest.resources.processes == "on_gpus"
    several = {"num_processes": 2, "distributed": True, "batch_size": 12, "batch_per_process": 6}
    gpus = {"gpu": True, "gpu_index": "0", "gpu_indices": "0,1", "device": "cuda:0", "device_type": "cuda"}
    commands = commands_of(loaded, variables_of(loaded.manifest, tmp_path, **several, **gpus))
    launch = ["python", "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    for command in ("train", "resume"):
        assert commands[command][:7] == launch
        assert commands[command][9].endswith("run_train.py")
    assert batch in " ".join(commands["train"])
    assert name != "yolov7" or "--device 0,1" in " ".join(commands["train"])


@pytest.mark.parametrize("name", REAL)
def test_source_and_environment_are_pinned(name: str) -> None:
    loaded = load_ready(name)
    manifest = loaded.manifest
    assert manifest.source.commit is not None
    assert manifest.environment is not None
    lines = (loaded.folder / manifest.environment.requirements).read_text().splitlines()
    pins = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert pins and all("==" in line and "://" not in line for line in pins)
    assert {task.primary_metric for task in manifest.tasks.values()} <= known_metrics(manifest.progress)
    assert manifest.catalogue is not None


def test_the_gpl_must_be_accepted() -> None:
    assert load_ready("yolov7").manifest.license.acknowledge


def updates_of(name: str, tmp_path: Path) -> list[Update]:
    """What the manifest's sources make of the recorded run."""
    manifest = load_ready(name).manifest
    sources = ProgressSources(manifest.progress, variables_of(manifest, tmp_path))
    found: list[Update] = []
    for stream in ("stdout", "stderr"):
        path = RECORDED / name / f"{stream}.log"
        splitter = LineSplitter()
        for line, _ in [*splitter.feed(path.read_bytes()), *splitter.rest()] if path.exists() else []:
            found += sources.read_line(stream, line)
    if (RECORDED / name / "output").exists():
        shutil.copytree(RECORDED / name / "output", tmp_path, dirs_exist_ok=True)
    return [*found, *sources.read_files(last=True)]


def test_yolov7_log(tmp_path: Path) -> None:
    updates = updates_of("yolov7", tmp_path)
    steps = [item for item in updates if item.kind == "step"]
    assert [(item.epoch, item.step, item.steps) for item in steps[:3]] == [(1, 0, 8), (1, 1, 8), (1, 1, 8)]
    assert steps[0].values["train/loss"] == pytest.approx(0.1845)
    epochs = [item for item in updates if item.kind == "epoch"]
    assert [item.epoch for item in epochs] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert epochs[-1].values["val/mAP50"] == pytest.approx(0.0003435)
    assert epochs[-1].values["val/mAP50_95"] == pytest.approx(5.08e-05)
    assert epochs[0].values["train/loss"] == pytest.approx(0.1795)


def test_pp_yolo_log(tmp_path: Path) -> None:
    updates = updates_of("pp_yolo", tmp_path)
    steps = [item for item in updates if item.kind == "step"]
    assert [(item.epoch, item.step, item.steps) for item in steps] == [(1, 3, 4), (1, 4, 4), (2, 1, 4), (2, 2, 4)]
    assert steps[0].values == pytest.approx({"train/loss": 332.030487, "train/lr": 0.001, "perf/samples_per_s": 2.6011})
    closing = [item.values for item in updates if item.kind == "epoch"]
    assert closing == [
        {"val/mAP50_95": 0.0},
        {"val/mAP50": 0.003},
        {"perf/eval_samples_per_s": pytest.approx(5.985217)},
    ]


def test_convnext_log(tmp_path: Path) -> None:
    updates = updates_of("convnext", tmp_path)
    steps = [item for item in updates if item.kind == "step"]
    assert [(item.epoch, item.step, item.steps) for item in steps] == [(1, 1, 3), (1, 3, 3), (2, 1, 3), (2, 3, 3)]
    assert steps[0].values == pytest.approx({"train/loss": 1.5726, "train/lr": 0.0005})
    epochs = [item for item in updates if item.kind == "epoch"]
    assert [item.epoch for item in epochs] == [1, 2]
    assert epochs[1].values["val/top1"] == pytest.approx(0.375)
    assert epochs[1].values["val/loss"] == pytest.approx(1.9742616415023804)


def test_vitpose_log(tmp_path: Path) -> None:
    """The log of the training, and the JSON lines of the resumed one, which begin with epoch 2."""
    updates = updates_of("vitpose", tmp_path)
    steps = [item for item in updates if item.kind == "step"]
    assert [(item.epoch, item.step, item.steps) for item in steps[:3]] == [(1, 4, 8), (1, 8, 8), (2, 4, 8)]
    assert steps[0].values == pytest.approx({"train/loss": 0.0380})
    told = [item for item in steps if "train/loss_heatmap" in item.values]
    assert [(item.epoch, item.step) for item in told[:2]] == [(2, 4), (2, 8)]
    [measured] = [item for item in updates if item.kind == "epoch"]
    assert measured.epoch == 2
    assert measured.values["val/mAP50_95_pose"] == pytest.approx(0.35598)
    assert measured.values["val/mAP50_pose"] == 1.0
