"""What commands write is checked; data is laid out for every format; files never leave the job's folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from dataset_writer import upload_dataset
from digit_scenes import make_splits, write_canonical
from real_services import S3Server
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.storage import Storage

from custom_trainer.layout import write_data
from custom_trainer.manifest_data import DatasetFormat
from custom_trainer.manifest_file import READY_MANIFESTS, load_manifest
from custom_trainer.outputs import ExportFile, ReportFile, read_predictions, read_written
from custom_trainer.workspace import Workspace, write_files


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"image": "a.png", "labels": [{"category": 1, "score": 1.5}]}', "labels.0.score"),
        ('{"image": "a.png", "labels": [{"category": 9, "score": 0.5}]}', "category 9 of 3 classes"),
        ('{"image": "a.png", "objects": [{"category": 0, "score": 1, "box": [1, 2, 3]}]}', "objects.0.box"),
        ('{"image": "a.png", "mood": "good"}', "mood"),
        ("not json", "line 2"),
        ("[" * 100_000, "line 2"),
    ],
)
def test_wrong_predictions_are_named_by_line(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"image": "ok.png", "labels": []}\n' + line + "\n")
    with pytest.raises(TrainerFailure) as failure:
        read_predictions(path, tmp_path, 3)
    assert failure.value.code is FailureCode.FRAMEWORK_ERROR
    assert words in failure.value.message


def test_good_predictions(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    objects = [{"category": 2, "score": 0.5, "box": [1, 2, 3.5, 4], "keypoints": [[1, 2, 0.9]]}]
    path.write_text(json.dumps({"image": "a.png", "objects": objects, "mask_file": "m.png", "caption": "a"}) + "\n\n")
    [found] = read_predictions(path, tmp_path, 3)
    assert found.objects is not None and found.objects[0].keypoints == [(1, 2, 0.9)]


def test_reports_may_hold_nan_and_must_be_where_they_claim(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"metrics": {"val/top1": NaN}}')
    assert read_written(ReportFile, path, tmp_path, "evaluate").metrics == {"val/top1": None}
    link = tmp_path / "link.json"
    link.symlink_to("/etc/hostname")
    for bad in (link, tmp_path / "none.json", tmp_path):
        with pytest.raises(TrainerFailure, match="cannot be read"):
            read_written(ReportFile, bad, tmp_path, "evaluate")
    with pytest.raises(TrainerFailure, match="engine: Field required"):
        read_written(ExportFile, path, tmp_path, "export")


def reader_of(task: str, server: S3Server, storage: Storage, folder: Path) -> DatasetReader:
    write_canonical(folder / task, task, make_splits(task, {"train": 4, "val": 2}, seed=5, size=48))
    uri = f"s3://{server.bucket}/datasets/{task}/v1/"
    upload_dataset(storage, uri, folder / task)
    return open_dataset(storage, uri, folder / "cache", task_type=task)


@pytest.mark.parametrize(
    ("task", "wanted", "told"),
    [
        ("image_classification", "image_folder", ["train_dir", "val_dir", "eval_dir"]),
        ("object_detection", "yolo", ["data_yaml", "train_dir", "eval_dir"]),
        ("object_detection", "coco", ["train_json", "val_json", "eval_json", "train_dir"]),
        ("pose_estimation", "coco_pose", ["train_json", "val_json", "eval_json"]),
        ("instance_segmentation", "coco", ["train_json", "eval_json"]),
        ("semantic_segmentation", "huggingface", ["train_dir", "eval_dir"]),
        ("image_captioning", "coco", ["train_json", "eval_json"]),
    ],
)
def test_formats(
    task: str, wanted: DatasetFormat, told: list[str], server: S3Server, storage: Storage, tmp_path: Path
) -> None:
    variables = write_data(reader_of(task, server, storage, tmp_path), wanted, tmp_path / "data", "val")
    for name in told:
        assert Path(str(variables[name])).exists(), name
    if wanted.startswith("coco"):
        content = json.loads(Path(str(variables["train_json"])).read_text())
        assert len(content["images"]) == 4 and content["annotations"]
        assert ("keypoints" in content["annotations"][0]) == (wanted == "coco_pose")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": [{"template": "source/train.py", "to": "/etc/evil"}]}, "outside of the job"),
        ({"files": [{"template": "source/train.py", "to": "${output}/../../evil"}]}, "outside of the job"),
        ({"dataset": {"format": "coco", "links": {"${output}/x": "/etc"}}}, "outside of the job"),
        ({"dataset": {"format": "coco", "links": {"/tmp/x": "${data}"}}}, "outside of the job"),
    ],
)
def test_files_and_links_stay_inside(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    workspace, manifest = workspace_with(tmp_path, changes)
    with pytest.raises(TrainerFailure, match=words):
        write_files(manifest, workspace, {"output": workspace.output, "data": workspace.data})


def test_a_file_is_filled_and_a_link_in_its_place_goes(tmp_path: Path) -> None:
    workspace, manifest = workspace_with(
        tmp_path, {"files": [{"template": "names.yaml", "to": "${source}/conf/names.yaml"}]}
    )
    (workspace.manifest_dir / "names.yaml").write_text("names: ${classes:json}\nlr: ${learning_rate}\n")
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (workspace.source / "conf").mkdir()
    (workspace.source / "conf/names.yaml").symlink_to(victim)
    variables = {"source": workspace.source, "classes": ["no", "a: b"], "learning_rate": 0.1}
    write_files(manifest, workspace, variables)
    assert victim.read_text() == "untouched"
    found = yaml.safe_load((workspace.source / "conf/names.yaml").read_text())
    assert found == {"names": ["no", "a: b"], "lr": 0.1}


def workspace_with(tmp_path: Path, changes: dict[str, Any]) -> tuple[Workspace, Any]:
    """Empty folders, and the reference manifest with other keys."""
    folders = {}
    for name in ("source", "manifest_dir", "data", "output", "tmp", "home"):
        folders[name] = tmp_path / name
        folders[name].mkdir()
    source = folders["manifest_dir"] / "source"
    source.mkdir()
    (source / "train.py").write_text("")
    (folders["manifest_dir"] / "names.yaml").write_text("")
    content = yaml.safe_load((READY_MANIFESTS / "reference/manifest.yaml").read_text()) | changes
    path = folders["manifest_dir"] / "manifest.yaml"
    path.write_text(yaml.safe_dump(content))
    return Workspace(root=tmp_path, uid=None, **folders), load_manifest(path).manifest
