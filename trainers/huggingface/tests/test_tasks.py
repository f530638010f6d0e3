"""Every task from training to export on scenes of real digits: it learns to a bar, and what follows agrees with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import Platform
from forked_job import ForkedTrainer
from vision_trainer import contracts


@dataclass(frozen=True)
class Case:
    """A training of a tiny model that memorises its data, and what it must reach there."""

    task: str
    model: str
    epochs: int
    batch_size: int
    learning_rate: float
    scenes: dict[str, Any]
    bars: dict[str, float]
    config: dict[str, Any] = field(default_factory=dict)
    # Training images: so many copies of the scenes, because an epoch with one step is mostly evaluation.
    copies: int = 1


CASES = (
    Case("image_classification", "test_vit", 10, 32, 3e-3, {"count": 64, "size": 32}, {"val/top1": 0.95}, copies=10),
    Case("image_classification", "test_deit", 10, 32, 3e-3, {"count": 64, "size": 32}, {"val/top1": 0.95}, copies=10),
    Case(
        "object_detection", "test_rtdetr", 6, 8, 3e-3, {"count": 8, "size": 64, "digits": [0, 1], "per_scene": (1, 2)},
        {"val/mAP50": 0.5}, {"clip_grad": 0.1, "image_size": 64}, copies=20,
    ),
    Case(
        "semantic_segmentation", "test_segformer", 8, 8, 3e-3, {"count": 16, "digits": [0, 1]},
        {"val/mIoU": 0.7, "val/pixel_acc": 0.95}, copies=4,
    ),
    Case(
        "image_captioning", "test_blip", 10, 8, 3e-3, {"count": 8, "size": 64}, {"val/exact": 0.9, "val/bleu4": 0.9},
        copies=16,
    ),
    Case(
        "pose_estimation", "test_vitpose", 6, 16, 3e-3, {"count": 12, "digits": [0, 1]}, {"val/OKS": 0.6}, copies=16,
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
def test_learns_and_everything_after_agrees(platform: Platform, case: Case) -> None:
    dataset = platform.memorised(case.task, case.copies, **case.scenes)
    job_id = platform.new_id()
    trainer = platform.start(
        case.task,
        dataset,
        job_id,
        MODEL_NAME=case.model,
        EPOCHS=str(case.epochs),
        BATCH_SIZE=str(case.batch_size),
        LEARNING_RATE=str(case.learning_rate),
        config={"augmentation": "none", **case.config},
    )
    metrics = _succeeded(platform, trainer)
    print(case.model, metrics)
    for name, bar in case.bars.items():
        assert metrics[name] >= bar, metrics
    samples = trainer.events_of("sample")
    assert 0 < len(samples) <= 4 * case.epochs
    assert platform.storage.read_bytes(samples[0]["image_uri"])[:2] == b"\xff\xd8"

    evaluation, prediction, export = (
        platform.derive(kind, case.task, dataset, job_id, MODEL_NAME=case.model, config=config)
        for kind, config in (
            ("evaluate", {"worst": 3}),
            ("predict", {"max_overlays": 2, "score_threshold": 0.2}),
            ("export", {"parity_samples": 6}),
        )
    )
    assert _succeeded(platform, evaluation) == {name: v for name, v in metrics.items() if name.startswith("val/")}
    _check_evaluation(platform, evaluation)
    _succeeded(platform, prediction)
    _check_predictions(platform, prediction, case)
    _succeeded(platform, export)
    report = contracts.ExportReport.model_validate(_read(platform, export, "export.json"))
    assert report.parity.max_abs_diff <= 1e-4
    assert report.parity.metric_diff == pytest.approx(0, abs=1e-3)


def test_detr_learns_slowly_but_it_learns(platform: Platform) -> None:
    # Tiny DETRs reach no usable precision within seconds; that their loss falls shows that all is connected.
    dataset = platform.memorised("object_detection", 10, count=8, digits=[0, 1, 2])
    trainer = platform.start(
        "object_detection",
        dataset,
        job_id := platform.new_id(),
        MODEL_NAME="test_detr",
        EPOCHS="6",
        BATCH_SIZE="8",
        LEARNING_RATE="0.001",
        config={"augmentation": "none", "clip_grad": 0.1},
    )
    _succeeded(platform, trainer)
    history = platform.read_json(f"{platform.output(job_id)}/artifacts/history.json")
    losses = [row["train/loss"] for row in history]
    print(losses)
    assert losses[-1] < 0.85 * losses[0]
    export = platform.derive("export", "object_detection", dataset, job_id, MODEL_NAME="test_detr")
    _succeeded(platform, export)


def _succeeded(platform: Platform, trainer: ForkedTrainer) -> dict[str, float]:
    """The metrics of a job that ended well, whose events and artifacts are what the contract says."""
    assert trainer.wait(300) == 0, trainer.log
    assert trainer.left_behind() == []
    events = trainer.events()
    for event in events:
        contracts.TrainerEvent.model_validate_json(json.dumps(event))
    assert [event["src_seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events].count("succeeded") == 1
    for artifact in events[-1]["data"]["artifacts"]:
        assert hashlib.sha256(platform.storage.read_bytes(artifact["uri"])).hexdigest() == artifact["sha256"]
    metrics: dict[str, float] = events[-1]["data"]["metrics"]
    return metrics


def _read(platform: Platform, trainer: ForkedTrainer, name: str) -> Any:
    artifacts = trainer.events_of("succeeded")[0]["artifacts"]
    return platform.read_json(next(artifact["uri"] for artifact in artifacts if artifact["name"] == name))


def _check_evaluation(platform: Platform, evaluation: ForkedTrainer) -> None:
    report = contracts.EvaluationReport.model_validate(_read(platform, evaluation, "evaluation.json"))
    assert len(report.worst) == 3
    assert all(row.overlay for row in report.worst)
    scores = [row.score for row in report.worst if row.score is not None]
    assert scores == sorted(scores)
    assert len(report.per_class) == len(report.classes)


def _check_predictions(platform: Platform, prediction: ForkedTrainer, case: Case) -> None:
    artifacts = {row["name"]: row["uri"] for row in prediction.events_of("succeeded")[0]["artifacts"]}
    lines = platform.storage.read_bytes(artifacts["predictions.jsonl"]).decode().splitlines()
    found = [contracts.Prediction.model_validate_json(line) for line in lines]
    assert len(found) == case.scenes["count"]
    assert [row.overlay for row in found[:3]] == ["overlays/00000.jpg", "overlays/00001.jpg", None]
    size = case.scenes.get("size", 96)
    for row in found:
        assert (row.width, row.height) == (size, size)
        for entry in row.objects or ():
            x, y, width, height = entry.box
            assert -1 <= x <= x + width <= size + 1
            assert -1 <= y <= y + height <= size + 1
    said = [row.labels or row.objects or row.mask or row.caption for row in found]
    assert sum(bool(answer) for answer in said) > len(found) / 2
