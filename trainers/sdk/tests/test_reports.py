"""Drawings, live samples, and what evaluate, predict and export jobs leave behind."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_writer import open_folder
from digit_scenes import make_scenes, make_splits, write_canonical
from local_job import LocalJob
from PIL import Image
from real_services import S3Server

from vision_trainer.contracts import EvaluationReport, ExportReport, Mask1, Prediction
from vision_trainer.drawing import describe_prediction, draw_prediction
from vision_trainer.failures import TrainerFailure
from vision_trainer.masks import rle_encode
from vision_trainer.reports import PredictionWriter, prediction_images, write_evaluation, write_export
from vision_trainer.samples import SamplePublisher

BLACK = Image.new("RGB", (64, 48))


def prediction(**parts: Any) -> Prediction:
    return Prediction.model_validate({"image": "train-00000000", "width": 64, "height": 48, **parts})


def one_object(**parts: Any) -> dict[str, Any]:
    return {"category": 3, "name": "three", "score": 0.9, "box": [8, 8, 30, 20], **parts}


PREDICTIONS = {
    "no objects": prediction(objects=[]),
    "1 objects: three 0.90": prediction(objects=[one_object()]),
    "cat 0.97, dog 0.03": prediction(
        labels=[{"category": 0, "name": "cat", "score": 0.97}, {"category": 1, "name": "dog", "score": 0.03}]
    ),
    "a three left of a seven": prediction(caption="a three left of a seven"),
    "background 90%, 3 10%": prediction(mask={"artifact": "x", "shares": {"3": 0.1, "background": 0.9}}),
}


@pytest.mark.parametrize("words", PREDICTIONS)
def test_predictions_are_said_in_words(words: str) -> None:
    assert describe_prediction(PREDICTIONS[words]) == words


def test_long_words_are_cut() -> None:
    assert len(describe_prediction(prediction(caption="word " * 1000))) == 2000


def test_what_is_predicted_is_drawn_and_the_image_is_left_alone() -> None:
    mask = np.zeros((48, 64), np.bool_)
    mask[10:26, 10:36] = True
    before = BLACK.tobytes()
    shown = [
        draw_prediction(BLACK, prediction(objects=[one_object()])),
        draw_prediction(BLACK, prediction(objects=[one_object(rle=rle_encode(mask).model_dump())])),
        draw_prediction(
            BLACK, prediction(objects=[one_object(keypoints=[[10, 10, 1], [30, 20, 0.9]])]), skeleton=[[0, 1], [1, 9]]
        ),
        draw_prediction(BLACK, PREDICTIONS["cat 0.97, dog 0.03"]),
        draw_prediction(BLACK, PREDICTIONS["a three left of a seven"]),
        draw_prediction(BLACK, prediction(), mask=mask.astype(np.uint8) * 4),
    ]
    assert BLACK.tobytes() == before
    for picture in shown:
        assert picture.size == (240, 180)
        assert picture.getextrema() != ((0, 0), (0, 0), (0, 0))
    assert len({picture.tobytes() for picture in shown}) == len(shown)


def test_samples_are_published_a_few_an_epoch(server: S3Server, tmp_path: Path) -> None:
    local = LocalJob(server, tmp_path)
    samples = SamplePublisher(local.job, per_epoch=2)
    scenes = make_scenes("object_detection", 3, 1)
    for epoch in (1, 2):
        taken = [
            samples.publish(
                epoch=epoch,
                step=epoch * 10,
                sample_id=f"val-{number}",
                image=scene.image,
                prediction=prediction(objects=[one_object()]),
                truth="a three",
            )
            for number, scene in enumerate(scenes)
        ]
        assert taken == [True, True, False]
        assert not samples.wants(epoch)
        assert samples.wants(epoch + 1)
    samples.close(20)
    events = local.events_of("sample")
    assert [(event["epoch"], event["sample_id"]) for event in events] == [
        (1, "val-0"),
        (1, "val-1"),
        (2, "val-0"),
        (2, "val-1"),
    ]
    assert events[0]["prediction"] == "1 objects: three 0.90"
    with Image.open(io.BytesIO(local.storage.read_bytes(events[0]["image_uri"]))) as image:
        assert image.format == "JPEG"
    assert local.stored() == [f"samples/a1/e0000{epoch}-0{number}.jpg" for epoch in (1, 2) for number in (0, 1)]


def test_samples_never_hold_up_the_training(server: S3Server, tmp_path: Path) -> None:
    local = LocalJob(server, tmp_path)
    local.storage.upload_bytes = lambda *given, **named: time.sleep(1)  # type: ignore[method-assign, assignment]
    samples = SamplePublisher(local.job, per_epoch=100)
    started = time.monotonic()
    taken = [
        samples.publish(epoch=1, step=1, sample_id="v", image=BLACK, prediction=prediction(caption="x"))
        for _ in range(50)
    ]
    assert time.monotonic() - started < 0.5
    assert 1 <= sum(taken) <= 10
    samples.close(0.1)


def test_predictions_of_given_images(server: S3Server, tmp_path: Path) -> None:
    content = io.BytesIO()
    BLACK.save(content, "PNG")
    addresses = [f"s3://{server.bucket}/jobs/5/images/{number}.png" for number in range(7)]
    local = LocalJob(server, tmp_path, {"images": addresses}, JOB_KIND="predict", MODEL_URI=f"s3://{server.bucket}/m")
    for address in addresses:
        local.storage.upload_bytes(content.getvalue(), address)
    writer = PredictionWriter(local.job, max_overlays=2, classes=["background", "one"])
    mask = np.zeros((48, 64), np.uint8)
    mask[:24] = 1
    for name, image in prediction_images(local.job, None):
        written = writer.add(prediction(image=name), image, mask)
    assert written.mask == Mask1(artifact="masks/00006.png", shares={"background": 0.5, "one": 0.5})
    writer.finish()
    lines = [json.loads(line) for line in local.read("artifacts/predictions.jsonl").splitlines()]
    assert [line["image"] for line in lines] == addresses
    assert [line.get("overlay") for line in lines] == ["overlays/00000.jpg", "overlays/00001.jpg", *[None] * 5]
    assert {f"artifacts/{line['overlay']}" for line in lines[:2]} <= set(local.stored())
    with Image.open(io.BytesIO(local.read("artifacts/masks/00000.png"))) as stored:
        assert (np.asarray(stored) == mask).all()
    Prediction.model_validate(lines[0])
    assert sorted(path.name for path in local.job.work_dir.iterdir()) == ["overlay.jpg", "predictions.jsonl"]


def test_predictions_of_a_split(server: S3Server, tmp_path: Path) -> None:
    write_canonical(tmp_path / "d", "object_detection", make_splits("object_detection", {"train": 3, "val": 2}, 1, 48))
    reader = open_folder(tmp_path / "d")
    local = LocalJob(server, tmp_path)
    assert [name for name, _ in prediction_images(local.job, reader)] == ["val-00000000", "val-00000001"]
    assert len(list(prediction_images(local.job, reader, "train"))) == 3
    with pytest.raises(TrainerFailure, match=r"split: found 'test', expected .*\(train, val\)") as caught:
        list(prediction_images(local.job, reader, "test"))
    assert caught.value.exit_code == 2
    with pytest.raises(TrainerFailure, match="images"):
        list(prediction_images(local.job, None))


@pytest.mark.parametrize(
    ("images", "exit_code"),
    [
        ("s3://bucket/a.png", 2),
        ([], 2),
        ([7], 2),
        (["file:///etc/passwd"], 2),
        (["s3://another-bucket/a.png"], 2),
        (["missing"], 3),
        (["broken"], 3),
    ],
)
def test_bad_images_are_named(images: Any, exit_code: int, server: S3Server, tmp_path: Path) -> None:
    base = f"s3://{server.bucket}/given"
    server.storage().upload_bytes(b"no image", f"{base}/broken")
    if images in (["missing"], ["broken"]):
        images = [f"{base}/{images[0]}"]
    local = LocalJob(server, tmp_path, {"images": images})
    with pytest.raises(TrainerFailure) as caught:
        list(prediction_images(local.job, None))
    assert caught.value.exit_code == exit_code
    assert "images" in caught.value.message or base in caught.value.message


def test_an_evaluation_shows_its_worst(server: S3Server, tmp_path: Path) -> None:
    local = LocalJob(server, tmp_path)
    scores = [0.1, float("nan"), None]
    worst = [{"image": f"val-{n}", "score": scores[n], "prediction": "a one", "truth": "a two"} for n in range(3)]
    report = EvaluationReport.model_validate(
        {
            "v": 1,
            "task_type": "image_captioning",
            "split": "val",
            "samples": 3,
            "metrics": {"val/bleu4": 0.5, "val/loss": None},
            "classes": [],
            "per_class": [],
            "worst": worst,
        }
    )
    write_evaluation(local.job, report, [BLACK, BLACK])
    stored = EvaluationReport.model_validate_json(local.read("artifacts/evaluation.json"))
    written = json.loads(local.read("artifacts/evaluation.json"))
    # Optional fields without a value are left out; a figure without a value is null.
    assert "pr_curves" not in written
    assert "overlay" not in written["worst"][2]
    assert written["metrics"] == {"val/bleu4": 0.5, "val/loss": None}
    assert written["worst"][2]["score"] is None
    assert [item.overlay for item in stored.worst] == ["overlays/worst-00.jpg", "overlays/worst-01.jpg", None]
    assert {artifact.name for artifact in local.job.result.artifacts} == {
        "evaluation.json",
        "overlays/worst-00.jpg",
        "overlays/worst-01.jpg",
    }


def export_report(difference: float) -> ExportReport:
    parity = {"samples": 16, "max_abs_diff": difference, "tolerance": 1e-3, "metric": "val/top1"}
    figures = {"metric_original": 0.9, "metric_exported": 0.8, "metric_diff": 0.1}
    return ExportReport.model_validate(
        {
            "v": 1,
            "format": "onnx",
            "artifact": "model.onnx",
            "engine": "onnxruntime 1",
            "inputs": [],
            "outputs": [],
            "preprocessing": {},
            "classes": [],
            "parity": {**parity, **figures},
        }
    )


def test_an_export_is_uploaded_with_its_report(server: S3Server, tmp_path: Path) -> None:
    local = LocalJob(server, tmp_path)
    (tmp_path / "export").mkdir()
    (tmp_path / "export/model.onnx").write_bytes(b"onnx")
    write_export(local.job, tmp_path / "export", export_report(1e-5))
    assert local.stored() == ["export/export.json", "export/model.onnx"]


@pytest.mark.parametrize("difference", [0.5, float("nan"), float("inf")])
def test_an_export_that_differs_fails_before_anything_is_uploaded(
    difference: float, server: S3Server, tmp_path: Path
) -> None:
    local = LocalJob(server, tmp_path)
    (tmp_path / "export").mkdir()
    (tmp_path / "export/model.onnx").write_bytes(b"onnx")
    with pytest.raises(TrainerFailure, match=r"0\.9 became 0\.8") as caught:
        write_export(local.job, tmp_path / "export", export_report(difference))
    assert caught.value.exit_code == 12
    assert local.stored() == []
