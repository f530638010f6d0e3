"""Scenes written in each format and ingested again are the scenes, within a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digit_scenes import KEYPOINTS, class_names, make_scenes
from make_upload import FORMATS, damaged, scene_name, upload_files
from PIL import Image, ImageDraw

from built_versions import version_of
from dataset_trainer.findings import Findings
from dataset_trainer.run_length import runs_from_text
from dataset_trainer.version_builder import BuildOptions, build_version
from hostile_archives import zip_of

DIGITS = (1, 3, 8)
PAIRS = [(task, format_name) for format_name, tasks in FORMATS.items() for task in tasks]


def scenes_of(task: str, outlines: str = "polygons") -> dict[str, list[Any]]:
    options = {"digits": DIGITS, "outlines": outlines}
    return {"train": make_scenes(task, 12, 1, **options), "val": make_scenes(task, 6, 2, **options)}  # type: ignore[arg-type]


def drawn(polygons: list[list[float]], side: int) -> Any:
    image = Image.new("1", (side, side))
    for points in polygons:
        ImageDraw.Draw(image).polygon(points, fill=1)
    return np.asarray(image)


def assert_same_object(found: dict[str, Any], told: dict[str, Any]) -> None:
    assert found["category"] == told["category"]
    assert np.abs(np.subtract(found["box"], told["box"])).max() <= 1
    assert set(found) == set(told)
    if "keypoints" in told:
        assert np.abs(np.subtract(found["keypoints"], told["keypoints"])).max() <= 1
    if "polygons" in told:
        same = drawn(found["polygons"], 96) == drawn(told["polygons"], 96)
        assert same.mean() > 0.995
    if "rle" in told:
        assert found["rle"] == told["rle"]


@pytest.mark.parametrize(("task", "format_name"), PAIRS)
def test_the_version_is_what_was_drawn(task: str, format_name: str, tmp_path: Path) -> None:
    scenes = scenes_of(task)
    version = version_of(tmp_path, task, *upload_files(task, format_name, scenes, digits=DIGITS))
    assert version.built.format == format_name
    assert version.built.counts == {"train": 12, "val": 6}
    assert version.built.classes == class_names(task, DIGITS)
    assert not version.built.split_here
    by_stem = {Path(source).stem: source for source in version.samples}
    for split, several in scenes.items():
        for number, scene in enumerate(several):
            source = by_stem[scene_name(split, number)]
            sample = version.samples[source]
            assert (sample["split"], sample["width"], sample["height"]) == (split, 96, 96)
            assert (sample.get("label"), sample.get("captions")) == (scene.label, scene.captions)
            assert len(sample.get("objects", ())) == len(scene.objects or ())
            for found, told in zip(sample.get("objects", ()), scene.objects or (), strict=True):
                assert_same_object(found, told)
            if scene.mask is not None:
                assert (version.mask(source) == scene.mask).all()
    if task == "pose_estimation":
        assert version.built.keypoints is not None
        assert version.built.keypoints["names"] == KEYPOINTS["names"]
        assert version.built.keypoints["flip_indices"] == KEYPOINTS["flip_indices"]
        assert version.built.keypoints["skeleton"] == (KEYPOINTS["skeleton"] if format_name == "coco" else [])


def test_run_lengths_come_through_unchanged(tmp_path: Path) -> None:
    scenes = scenes_of("instance_segmentation", "rle")
    task = "instance_segmentation"
    version = version_of(tmp_path, task, *upload_files(task, "coco", scenes, digits=DIGITS))
    for number, scene in enumerate(scenes["train"]):
        sample = version.samples[f"train/{scene_name('train', number)}.png"]
        for found, told in zip(sample["objects"], scene.objects, strict=True):
            assert_same_object(found, told)
            assert sum(runs_from_text(found["rle"]["counts"])) == 96 * 96


def test_damage_is_found(tmp_path: Path) -> None:
    task = "object_detection"
    files = damaged(upload_files(task, "yolo", scenes_of(task), digits=DIGITS), 4)
    (tmp_path / "upload.zip").write_bytes(zip_of(*files))
    for skip, errors in ((False, 4), (True, 0)):
        findings = Findings(skip_bad_files=skip)
        work = tmp_path / str(skip)
        work.mkdir()
        built = build_version(tmp_path / "upload.zip", work, BuildOptions(task=task), findings, lambda d, t: None)
        assert findings.counts()["error"] == errors
        assert (built is not None) == skip
        assert built is None or built.samples_count == 14
