"""Predictions for images that the user gives: upright, in their own pixels, or a clear refusal."""

from __future__ import annotations

import io

from conftest import Platform
from digit_scenes import make_scenes
from forked_job import ForkedTrainer
from PIL import Image
from vision_trainer import contracts

TASK = "semantic_segmentation"


def test_given_images_are_turned_upright_and_answered_in_their_own_pixels(platform: Platform) -> None:
    dataset, job_id = platform.scenes(TASK, 8, 4, digits=[0, 1]), platform.new_id()
    trainer = platform.start(TASK, dataset, job_id, EPOCHS="1", BATCH_SIZE="4")
    assert trainer.wait() == 0, trainer.log

    picture = make_scenes(TASK, 1, 3, size=120)[0].image.crop((0, 0, 120, 70))
    lying = Image.Exif()
    lying[0x0112] = 6
    uris = [_stored(platform, picture, "one.png"), _stored(platform, picture, "two.jpg", exif=lying.tobytes())]
    prediction = platform.derive("predict", TASK, dataset, job_id, config={"images": uris, "max_overlays": 1})
    assert prediction.wait() == 0, prediction.log
    found = _lines(platform, prediction)
    assert [(row.image, row.width, row.height) for row in found] == [(uris[0], 120, 70), (uris[1], 70, 120)]
    assert [row.overlay for row in found] == ["overlays/00000.jpg", None]
    artifacts = {row["name"]: row["uri"] for row in prediction.events_of("succeeded")[0]["artifacts"]}
    for row in found:
        assert row.mask is not None
        mask = Image.open(io.BytesIO(platform.storage.read_bytes(artifacts[row.mask.artifact])))
        assert mask.size == (row.width, row.height)
        assert abs(sum(row.mask.shares.values()) - 1) < 1e-3

    broken = f"s3://{platform.server.bucket}/jobs/{job_id}/images/0000-broken.png"
    platform.storage.upload_bytes(b"no image", broken)
    for images, exit_code in (([broken], 3), (["s3://another-bucket/x.png"], 2), ([], 2)):
        refused = platform.derive("predict", TASK, dataset, job_id, config={"images": images})
        assert refused.wait() == exit_code, refused.log
        assert refused.left_behind() == []


def _stored(platform: Platform, image: Image.Image, name: str, exif: bytes = b"") -> str:
    file = io.BytesIO()
    image.save(file, "PNG" if name.endswith("png") else "JPEG", exif=exif)
    uri = f"s3://{platform.server.bucket}/jobs/1/images/{platform.new_id()}-{name}"
    platform.storage.upload_bytes(file.getvalue(), uri)
    return uri


def _lines(platform: Platform, prediction: ForkedTrainer) -> list[contracts.Prediction]:
    artifacts = {row["name"]: row["uri"] for row in prediction.events_of("succeeded")[0]["artifacts"]}
    lines = platform.storage.read_bytes(artifacts["predictions.jsonl"]).decode().splitlines()
    return [contracts.Prediction.model_validate_json(line) for line in lines]
