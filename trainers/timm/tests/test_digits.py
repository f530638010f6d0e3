"""The whole way: real images, real storage, the trainer as a process; then what is made of the trained model."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import Jobs, Trained, digit_pictures
from local_job import LocalJob
from PIL import Image
from safetensors import safe_open
from vision_trainer import contracts
from vision_trainer.failures import TrainerFailure
from vision_trainer.storage import Storage

from timm_trainer.start import start


def test_learns_the_digits_and_leaves_everything_it_should(jobs: Jobs, storage: Storage, trained: Trained) -> None:
    trainer = trained.process
    events = trainer.events()
    kinds = [event["type"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "succeeded"
    assert kinds.count("succeeded") == 1
    assert [event["src_seq"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        contracts.TrainerEvent.model_validate_json(json.dumps(event))

    metrics = events[-1]["data"]["metrics"]
    print(metrics)
    assert metrics["val/top1"] >= 0.95

    output = jobs.output_uri(trained.job_id)
    result = contracts.TrainerResult.model_validate_json(storage.read_bytes(f"{output}/RESULT.json"))
    names = {artifact.name for artifact in result.artifacts}
    assert {"model.safetensors", "labels.json", "confusion_matrix.json", "metrics.jsonl"} <= names
    for artifact in result.artifacts:
        assert hashlib.sha256(storage.read_bytes(artifact.uri)).hexdigest() == artifact.sha256
    assert events[-1]["data"]["artifacts"] == [artifact.model_dump() for artifact in result.artifacts]
    assert json.loads(storage.read_bytes(f"{output}/config.json"))["config"]["augmentation"] == "light"
    assert trainer.left_behind() == []


def test_shows_a_few_images_of_every_epoch(storage: Storage, trained: Trained) -> None:
    samples = trained.process.events_of("sample")
    by_epoch = [sum(sample["epoch"] == epoch for sample in samples) for epoch in range(1, 7)]
    assert max(by_epoch) <= 4
    assert by_epoch[-1] == 4
    assert sum(by_epoch) >= 12
    right = [sample["prediction"].startswith(sample["truth"]) for sample in samples if sample["epoch"] == 6]
    assert sum(right) >= 3
    assert Image.open(io.BytesIO(storage.read_bytes(samples[0]["image_uri"]))).format == "JPEG"


def test_an_evaluation_finds_the_figures_of_the_training(jobs: Jobs, storage: Storage, trained: Trained) -> None:
    trainer = jobs.derive("evaluate", trained.job_id, dataset=jobs.digits.all_uri)
    assert trainer.wait() == 0, trainer.log
    told = trained.process.events_of("succeeded")[0]["metrics"]
    found = trainer.events_of("succeeded")[0]["metrics"]
    assert found == {name: told[name] for name in ("val/loss", "val/top1", "val/top5")}

    report = contracts.EvaluationReport.model_validate_json(jobs.artifact(trainer, storage, "evaluation.json"))
    assert report.metrics == found
    matrix = np.array(report.confusion_matrix)
    assert matrix.sum() == report.samples == 360
    assert matrix.trace() / 360 == found["val/top1"]
    assert [item.support for item in report.per_class] == matrix.sum(axis=1).tolist()
    confusion = json.loads(storage.read_bytes(f"{jobs.output_uri(trained.job_id)}/artifacts/confusion_matrix.json"))
    assert matrix.tolist() == confusion["matrix"]
    assert [worst.score for worst in report.worst] == sorted(worst.score or 0 for worst in report.worst)
    assert report.worst[0].overlay == "overlays/worst-00.jpg"
    Image.open(io.BytesIO(jobs.artifact(trainer, storage, "overlays/worst-00.jpg"))).verify()
    assert trainer.left_behind() == []


def test_predicts_a_split_and_images_that_are_given(jobs: Jobs, storage: Storage, trained: Trained) -> None:
    split = jobs.derive("predict", trained.job_id, dataset=jobs.digits.all_uri, CONFIG_JSON='{"max_overlays": 2}')
    addresses, labels = [], []
    for number, picture in enumerate(digit_pictures(40)[:9:3]):
        addresses.append(f"s3://{jobs.server.bucket}/jobs/{trained.job_id}/images/{number}.png")
        storage.upload_bytes(picture.content, addresses[-1])
        labels.append(str(picture.label))
    given = jobs.derive("predict", trained.job_id, CONFIG_JSON=json.dumps({"images": addresses}))

    assert split.wait() == 0, split.log
    lines = jobs.artifact(split, storage, "predictions.jsonl").decode().splitlines()
    predictions = [contracts.Prediction.model_validate_json(line) for line in lines]
    assert len(predictions) == 360
    assert [bool(prediction.overlay) for prediction in predictions[:3]] == [True, True, False]
    best = [prediction.labels[0] for prediction in predictions if prediction.labels]
    truth = [picture.label for picture in digit_pictures(8) if picture.split == "val"]
    share = np.mean([label.category == wanted for label, wanted in zip(best, truth, strict=True)])
    assert share == trained.process.events_of("succeeded")[0]["metrics"]["val/top1"]

    assert given.wait() == 0, given.log
    lines = jobs.artifact(given, storage, "predictions.jsonl").decode().splitlines()
    found = [contracts.Prediction.model_validate_json(line) for line in lines]
    assert [(one.image, one.width, one.height) for one in found] == [(address, 40, 40) for address in addresses]
    assert [one.labels[0].name for one in found if one.labels] == labels
    assert all(one.labels and len(one.labels) == 5 for one in found)


@pytest.fixture(scope="module")
def exported(jobs: Jobs, trained: Trained) -> Trained:
    """An export of the digits' model."""
    process = jobs.derive("export", trained.job_id, dataset=jobs.digits.all_uri)
    assert process.wait() == 0, process.log
    return Trained(0, process)


def test_an_export_says_what_the_original_says(jobs: Jobs, storage: Storage, exported: Trained, tmp_path: Path) -> None:
    trainer = exported.process
    report = contracts.ExportReport.model_validate_json(jobs.artifact(trainer, storage, "export.json"))
    assert report.parity.samples == 16
    assert report.parity.max_abs_diff <= 1e-4
    assert report.parity.metric_diff == 0
    assert report.inputs[0].shape == ["batch", 3, 32, 32]
    assert report.outputs[0].shape == ["batch", 10]

    # Used as somebody else would: with nothing but what lies in the folder.
    how = json.loads(jobs.artifact(trainer, storage, "preprocessing.json"))
    names = json.loads(jobs.artifact(trainer, storage, "labels.json"))["classes"]
    session = onnxruntime.InferenceSession(jobs.artifact(trainer, storage, "model.onnx"))
    pictures = [picture for picture in digit_pictures(32) if picture.split == "val"][:50]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(one.content)).convert("RGB"), np.float32) for one in pictures])
    inputs = (pixels * how["scale"] - how["mean"]) / how["std"]
    logits = session.run(["logits"], {"images": inputs.transpose(0, 3, 1, 2).astype(np.float32)})[0]
    said = [names[number] for number in np.asarray(logits).argmax(axis=1)]
    assert np.mean([one == str(picture.label) for one, picture in zip(said, pictures, strict=True)]) >= 0.94

    weights = tmp_path / "model.safetensors"
    weights.write_bytes(jobs.artifact(trainer, storage, "model.safetensors"))
    with safe_open(weights, "pt") as file:
        assert json.loads(file.metadata()["model"])["model_name"] == "test_resnet"
    assert trainer.left_behind() == []


def test_an_export_that_differs_is_a_failure_with_the_figures(jobs: Jobs, trained: Trained, tmp_path: Path) -> None:
    best = f"{jobs.output_uri(trained.job_id)}/checkpoints/best.json"
    changes = {"JOB_KIND": "export", "MODEL_URI": best, "DATASET_URI": jobs.digits.few_uri}
    local = LocalJob(jobs.server, tmp_path, {"tolerance": 1e-12}, **changes)
    with pytest.raises(TrainerFailure, match="above the tolerance") as raised:
        start(local.job)
    assert raised.value.code == "FRAMEWORK_ERROR"
    assert local.stored() == []
