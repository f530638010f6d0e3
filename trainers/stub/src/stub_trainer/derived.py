"""The jobs that take a trained model: evaluate, predict and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vision_trainer.contracts import DatasetSample, EvaluationReport, ExportReport, Prediction
from vision_trainer.dataset import open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.model_source import open_model
from vision_trainer.run import TrainerJob, TrainerOutcome
from vision_trainer.storage import ObjectMissing

from .measure import measure, rank_of_label, ranking
from .settings import DerivedSettings, read_settings
from .source import TASK_TYPE, check_image, picture_of
from .walk import WEIGHTS, Walk, load_state, read_weights, write_weights

_WORST = 8
_TOP = 5


def evaluate(job: TrainerJob) -> TrainerOutcome:
    """evaluation.json: metrics over a split, per class, the confusion matrix, the worst samples."""
    settings = read_settings(DerivedSettings, job.env.config)
    walk, classes = _model(job)
    split, samples = _split(job, settings, classes)
    job.events.phase("evaluating")
    metrics = measure(walk, samples, len(classes))
    confusion = [[0] * len(classes) for _ in classes]
    for sample in samples:
        confusion[sample.label or 0][ranking(walk.scores(sample, len(classes)))[0]] += 1
    report = {
        "v": 1,
        "task_type": TASK_TYPE,
        "split": split,
        "samples": len(samples),
        "metrics": metrics,
        "classes": classes,
        "per_class": [
            {"name": name, "support": sum(row), "metrics": {"val/top1": row[index] / sum(row) if sum(row) else None}}
            for index, (name, row) in enumerate(zip(classes, confusion, strict=True))
        ],
        "confusion_matrix": confusion,
        "worst": _worst(walk, samples, classes),
    }
    EvaluationReport.model_validate(report)
    about = {"scope": "epoch", "split": split, "epoch": 0, "step": 0, "values": metrics}
    job.events.publish("metrics", about)
    _add(job, "evaluation.json", json.dumps(report, indent=1))
    return _succeed(job, metrics)


def predict(job: TrainerJob) -> TrainerOutcome:
    """predictions.jsonl: one line an image, from config.images or a split of the dataset."""
    settings = read_settings(DerivedSettings, job.env.config)
    walk, classes = _model(job)
    if settings.images is not None:
        samples = [_fetched(job, uri) for uri in settings.images]
    else:
        samples = _split(job, settings, classes)[1]
    job.events.phase("evaluating")
    lines = []
    for sample in samples:
        scores = walk.scores(sample, len(classes))
        labels = [
            {"category": index, "name": classes[index], "score": scores[index]} for index in ranking(scores)[:_TOP]
        ]
        line = {"image": sample.id, "width": sample.width, "height": sample.height, "labels": labels}
        Prediction.model_validate(line)
        lines.append(json.dumps(line) + "\n")
    _add(job, "predictions.jsonl", "".join(lines))
    return _succeed(job, {})


def export(job: TrainerJob) -> TrainerOutcome:
    """model.safetensors, read back and run again: the walk has no graph that ONNX could hold."""
    settings = read_settings(DerivedSettings, job.env.config)
    walk, classes = _model(job)
    samples = _split(job, settings, classes)[1][: settings.parity_samples]
    job.events.phase("exporting")
    path = job.work_dir / WEIGHTS
    write_weights(path, walk.weights)
    again = Walk(read_weights(path), walk.momentum, walk.rng)
    differences = [
        abs(one - other)
        for sample in samples
        for one, other in zip(walk.scores(sample, len(classes)), again.scores(sample, len(classes)), strict=True)
    ]
    top1 = [measure(which, samples, len(classes))["val/top1"] for which in (walk, again)]
    preprocessing = {"input": "the sha256 of the file"}
    report = {
        "v": 1,
        "format": "safetensors",
        "artifact": WEIGHTS,
        "engine": "stub_trainer, read back",
        "inputs": [{"name": "sha256", "shape": [1], "type": "string"}],
        "outputs": [{"name": "scores", "shape": [1, len(classes)], "type": "float64"}],
        "preprocessing": preprocessing,
        "classes": classes,
        "parity": {
            "samples": len(samples),
            "max_abs_diff": max(differences),
            "tolerance": 0.0,
            "metric": "val/top1",
            "metric_original": top1[0],
            "metric_exported": top1[1],
            "metric_diff": top1[1] - top1[0],
        },
    }
    ExportReport.model_validate(report)
    job.result.add_artifact(path, WEIGHTS, folder="export")
    for name, content in (("labels.json", classes), ("preprocessing.json", preprocessing), ("export.json", report)):
        _add(job, name, json.dumps(content, indent=1), folder="export")
    return _succeed(job, {"val/top1": top1[1]})


def _model(job: TrainerJob) -> tuple[Walk, list[str]]:
    """The trained walk with its best weights, and its classes."""
    found = open_model(job)
    try:
        walk, progress = load_state(found.folder)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE, f"MODEL_URI: {found.uri} holds no walk: {error}."
        ) from error
    if found.manifest.epoch == progress.best_epoch and progress.best_weights:
        walk.weights = progress.best_weights
    return walk, found.manifest.classes


def _split(job: TrainerJob, settings: DerivedSettings, classes: list[str]) -> tuple[str, list[DatasetSample]]:
    job.events.phase("downloading")
    reader = open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, task_type=TASK_TYPE)
    if reader.classes != classes:
        message = "DATASET_URI: the dataset has other classes than the model of MODEL_URI."
        raise TrainerFailure(FailureCode.BAD_CONFIG, message)
    split = settings.split or ("val" if reader.split("val") else "test")
    samples = reader.split(split)
    if not samples:
        raise TrainerFailure(FailureCode.DATASET_INVALID, f"The dataset has no samples in the split {split}.")
    for sample in samples:
        check_image(reader.read(sample), sample.member)
    return split, samples


def _fetched(job: TrainerJob, uri: str) -> DatasetSample:
    """An image of its own as a sample without a label. Raises BAD_CONFIG when it is not there."""
    path = job.work_dir / "image"
    try:
        sha256 = job.storage.download(uri, path)
    except ObjectMissing as error:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"CONFIG_JSON.images: {uri} does not exist.") from error
    content = path.read_bytes()
    check_image(content, uri)
    return picture_of(uri, content, sha256)


def _worst(walk: Walk, samples: list[DatasetSample], classes: list[str]) -> list[dict[str, Any]]:
    def own_score(sample: DatasetSample) -> float:
        return walk.scores(sample, len(classes))[sample.label or 0]

    worst = sorted(samples, key=lambda sample: (own_score(sample), sample.id))[:_WORST]
    return [
        {
            "image": sample.id,
            "score": own_score(sample),
            "prediction": classes[ranking(walk.scores(sample, len(classes)))[0]],
            "truth": classes[sample.label or 0],
        }
        for sample in worst
        if rank_of_label(walk, sample, len(classes)) > 0
    ]


def _add(job: TrainerJob, name: str, text: str, folder: str = "artifacts") -> None:
    path: Path = job.work_dir / name
    path.write_text(text, encoding="utf-8")
    job.result.add_artifact(path, name, folder=folder)


def _succeed(job: TrainerJob, metrics: dict[str, float]) -> TrainerOutcome:
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)
