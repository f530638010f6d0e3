# SPDX-License-Identifier: AGPL-3.0-only
"""Each task learns, and what was learned is evaluated, predicted with and exported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import MODELS, Datasets, Jobs
from trainer_process import TrainerProcess
from vision_trainer.contracts import EvaluationReport, ExportReport, Prediction
from vision_trainer.masks import rle_decode

# What each task has to reach, on eight scenes it has seen; classification on digits it has not.
BARS = {
    "object_detection": {"val/mAP50": 0.5},
    "instance_segmentation": {"val/mAP50": 0.5, "val/mAP50_mask": 0.5},
    "pose_estimation": {"val/mAP50": 0.5, "val/mAP50_pose": 0.5},
    "image_classification": {"val/top1": 0.9},
}
_CONFIG = {"augmentation": "none", "ema_decay": 0.9, "final_lr_ratio": 0.1, "warmup_epochs": 0.3}
_TIMEOUT_S = 300.0


@pytest.fixture(scope="module")
def trainings(jobs: Jobs, datasets: Datasets) -> dict[str, tuple[int, str, TrainerProcess]]:
    """One training a task, all at once: (job, dataset, process)."""
    started = {}
    for task in MODELS:
        classify = task == "image_classification"
        dataset = datasets.digits(600, 100) if classify else datasets.overfit(task, repeat=8)
        changes = {"EPOCHS": "6", "BATCH_SIZE": "16", "LEARNING_RATE": "0.004"} if classify else {}
        settings = {"EPOCHS": "8", "BATCH_SIZE": "4", "LEARNING_RATE": "0.012", **changes}
        job_id = jobs.new_id()
        process = jobs.start(task, dataset, job_id, CONFIG_JSON=json.dumps(_CONFIG), **settings)
        started[task] = (job_id, dataset, process)
    return started


@pytest.mark.parametrize("task", MODELS)
def test_learns_and_is_used(jobs: Jobs, trainings: dict[str, tuple[int, str, TrainerProcess]], task: str) -> None:
    job_id, dataset, training = trainings[task]
    assert training.wait(_TIMEOUT_S) == 0, training.log
    assert training.left_behind() == []
    metrics = training.events_of("succeeded")[0]["metrics"]
    for name, bar in BARS[task].items():
        assert metrics[name] >= bar, metrics
    _check_events(training)

    kinds = ("evaluate", "predict", "export")
    processes = {kind: jobs.derive(kind, task, dataset, job_id) for kind in kinds}
    for kind, process in processes.items():
        assert process.wait(_TIMEOUT_S) == 0, f"{kind}: {process.log}"
        assert process.left_behind() == []
    results = {kind: process.events_of("succeeded")[0] for kind, process in processes.items()}
    # The best figures of the training, to the last bit.
    assert results["evaluate"]["metrics"] == {name: metrics[name] for name in results["evaluate"]["metrics"]}
    _check_evaluation(jobs, task, _artifact(results["evaluate"], "evaluation.json"), metrics)
    _check_predictions(jobs, task, _artifact(results["predict"], "predictions.jsonl"))
    _check_export(jobs, task, results["export"])


def _check_events(training: TrainerProcess) -> None:
    steps = [event for event in training.events() if event["type"] == "metrics" and event["data"]["scope"] == "step"]
    epochs = [event for event in training.events() if event["type"] == "metrics" and event["data"]["scope"] == "epoch"]
    seen = [(event["data"]["epoch"], event["data"]["split"]) for event in epochs]
    assert len(seen) == len(set(seen)), "an epoch was told twice"
    first, last = training.events()[0]["ts"], training.events()[-1]["ts"]
    assert len(steps) <= 2 * (_seconds(last) - _seconds(first)) + 2
    samples = training.events_of("sample")
    assert samples
    assert samples[0]["truth"]


def _seconds(stamp: str) -> float:
    hours, minutes, seconds = stamp.rstrip("Z").split("T")[1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _artifact(result: dict[str, Any], name: str) -> str:
    return str(next(artifact["uri"] for artifact in result["artifacts"] if artifact["name"] == name))


def _check_evaluation(jobs: Jobs, task: str, uri: str, metrics: dict[str, float]) -> None:
    report = EvaluationReport.model_validate_json(jobs.storage.read_bytes(uri))
    assert report.split == "val"
    assert len(report.per_class) == len(report.classes)
    assert sum(item.support for item in report.per_class) >= report.samples
    assert report.worst
    assert report.worst[0].overlay == "overlays/worst-00.jpg"
    scores = [item.score or 0.0 for item in report.worst]
    assert scores == sorted(scores)
    if task == "image_classification":
        matrix = report.confusion_matrix or []
        right = sum(matrix[index][index] for index in range(len(matrix)))
        assert right / report.samples == pytest.approx(metrics["val/top1"], abs=1e-6)
    else:
        assert report.pr_curves
        assert len(report.pr_curves[0].recall) == len(report.pr_curves[0].precision) == 101


def _check_predictions(jobs: Jobs, task: str, uri: str) -> None:
    lines = jobs.storage.read_bytes(uri).decode().splitlines()
    predictions = [Prediction.model_validate_json(line) for line in lines]
    assert all(prediction.overlay for prediction in predictions[:8])
    if task == "image_classification":
        assert all(prediction.labels and len(prediction.labels) == 5 for prediction in predictions)
        return
    objects = [entry for prediction in predictions for entry in prediction.objects or []]
    assert len(objects) >= 3
    for entry in objects:
        x, y, width, height = entry.box
        assert -1 <= x <= 64
        assert -1 <= y <= 64
        assert 4 <= width <= 64
        assert 4 <= height <= 64
        if task == "instance_segmentation":
            assert entry.rle is not None
            mask = rle_decode(entry.rle)
            assert mask.shape == (64, 64)
            assert mask.any()
        if task == "pose_estimation":
            assert entry.keypoints


def _check_export(jobs: Jobs, task: str, result: dict[str, Any]) -> None:
    names = {artifact["name"] for artifact in result["artifacts"]}
    assert names == {"model.onnx", "model.safetensors", "labels.json", "preprocessing.json", "export.json"}
    report = ExportReport.model_validate_json(jobs.storage.read_bytes(_artifact(result, "export.json")))
    assert report.parity.max_abs_diff <= report.parity.tolerance
    assert report.parity.metric_original is not None
    assert report.parity.metric_diff == pytest.approx(0.0, abs=0.01)
