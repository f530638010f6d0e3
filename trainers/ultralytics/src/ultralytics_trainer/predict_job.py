# SPDX-License-Identifier: AGPL-3.0-only
"""JOB_KIND=predict: what the trained model says about images, as JSON lines and drawn."""

from __future__ import annotations

from vision_trainer.reports import PredictionWriter, prediction_images
from vision_trainer.run import TrainerJob, TrainerOutcome

from .predictions import Predictor
from .settings import PredictOptions
from .trained_model import open_split, open_trained


def predict(job: TrainerJob, options: PredictOptions) -> TrainerOutcome:
    """Writes predictions.jsonl and overlays/<n>.jpg for `images`, or for a split of the dataset."""
    trained = open_trained(job)
    reader, split = None, None
    if options.images is None:
        reader, split = open_split(job, trained, options.split)
    look = Predictor(
        trained.model,
        trained.network,
        trained.classes,
        size=trained.size,
        device=trained.device,
        save_dir=job.work_dir / "run",
        confidence=options.confidence,
        nms_iou=options.nms_iou,
        max_detections=options.max_detections,
    )
    writer = PredictionWriter(job, options.max_overlays, classes=trained.classes, skeleton=trained.skeleton)
    job.events.phase("evaluating", 0.0)
    found = 0
    for name, image in prediction_images(job, reader, split):
        job.leave_if_stopped()
        prediction = look(name, image)
        writer.add(prediction, image)
        found += len(prediction.objects or prediction.labels or ())
    job.events.phase("uploading")
    images = writer.count
    writer.finish()
    metrics: dict[str, float | None] = {"predict/images": float(images), "predict/found": float(found)}
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)
