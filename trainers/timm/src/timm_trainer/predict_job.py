"""JOB_KIND=predict: what the trained model says about given images or about a split."""

from __future__ import annotations

from collections import Counter

from vision_trainer.reports import PredictionWriter, prediction_images
from vision_trainer.run import TrainerJob, TrainerOutcome

from .classifier import open_classifier, open_split
from .job_options import PredictOptions
from .verdicts import prediction_of


def predict(job: TrainerJob, options: PredictOptions) -> TrainerOutcome:
    """Writes a line for every image to predictions.jsonl and draws the first ones."""
    classifier = open_classifier(job)
    reader, split = (None, "") if options.images else open_split(job, classifier, options.split)
    writer = PredictionWriter(job, options.max_overlays)
    job.events.phase("evaluating", 0.0)
    found: Counter[str] = Counter()
    for name, image, verdict in classifier.look_at(prediction_images(job, reader, split)):
        job.leave_if_stopped()
        prediction = prediction_of(name, image.width, image.height, verdict, classifier.classes)
        writer.add(prediction, image)
        found[classifier.classes[verdict.labels[0]]] += 1
    job.events.phase("uploading")
    writer.finish()
    metrics: dict[str, float | None] = {"predict/images": float(found.total())}
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)
