# SPDX-License-Identifier: AGPL-3.0-only
"""JOB_KIND=evaluate: what the trained model is worth on a split, per class, and where it errs most."""

from __future__ import annotations

from typing import Any

from PIL import Image
from vision_trainer.contracts import DatasetSample, EvaluationReport, WorstItem
from vision_trainer.dataset import DatasetReader
from vision_trainer.drawing import describe_prediction, draw_prediction
from vision_trainer.images import sample_image
from vision_trainer.reports import write_evaluation
from vision_trainer.run import TrainerJob, TrainerOutcome

from .measures import validate
from .predictions import Predictor, describe_truth
from .scores import ImageScores, LabelScores, curves, per_class_of_labels, per_class_of_objects
from .settings import EvaluateOptions
from .trained_model import TrainedModel, open_split, open_trained
from .validation import prepare_validation
from .yolo_data import write_split

Worst = list[tuple[DatasetSample, float]]


def evaluate(job: TrainerJob, options: EvaluateOptions) -> TrainerOutcome:
    """The same figures as the training's own evaluation of these weights, to the last bit on the same machine."""
    trained = open_trained(job)
    reader, split = open_split(job, trained, options.split)
    data = write_split(reader, job.env.task_type, job.work_dir / "dataset", split)
    job.events.phase("evaluating", 0.0)
    trainer = prepare_validation(trained, data, job.work_dir / "run")
    trainer.validator.callbacks["on_val_batch_end"].append(lambda _: job.leave_if_stopped())
    samples = data.samples_by_file()
    common: dict[str, Any] = {
        "v": 1,
        "task_type": job.env.task_type,
        "split": split,
        "samples": len(data.val),
        "classes": trained.classes,
    }
    if job.env.task_type == "image_classification":
        labels = LabelScores(trainer.validator)
        figures = validate(trainer)
        matrix = labels.confusion(len(trained.classes))
        files = [sample[0] for sample in trainer.test_loader.dataset.samples]
        scores = dict(zip((_stem(file) for file in files), labels.scores, strict=True))
        common |= {"confusion_matrix": matrix, "per_class": per_class_of_labels(matrix, trained.classes)}
    else:
        objects = ImageScores(trainer.validator, job.env.task_type)
        figures = validate(trainer)
        scores = objects.by_stem
        metrics = trainer.validator.metrics
        common |= {
            "per_class": per_class_of_objects(metrics, trained.classes),
            "pr_curves": curves(metrics, job.env.task_type, trained.classes),
        }
    order = sorted(scores, key=lambda stem: (scores[stem], stem))[: options.worst]
    worst, overlays = _worst(job, trained, reader, [(samples[stem], scores[stem]) for stem in order])
    report = EvaluationReport.model_validate({**common, "metrics": figures, "worst": worst})
    job.events.phase("uploading")
    write_evaluation(job, report, overlays)
    job.result.write("succeeded", figures)
    return TrainerOutcome(figures)


def _stem(file: str) -> str:
    return file.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _worst(
    job: TrainerJob, trained: TrainedModel, reader: DatasetReader, chosen: Worst
) -> tuple[list[WorstItem], list[Image.Image]]:
    """What the model says about the samples it does worst on, in words and drawn."""
    if not chosen:
        return [], []
    predict = Predictor(
        trained.model,
        trained.network,
        trained.classes,
        size=trained.size,
        device=trained.device,
        save_dir=job.work_dir / "run",
        confidence=0.25,
    )
    items, overlays = [], []
    for sample, score in chosen:
        image = sample_image(reader, sample)
        prediction = predict(sample.id, image)
        truth = describe_truth(sample, trained.classes)
        items.append(WorstItem(image=sample.id, score=score, prediction=describe_prediction(prediction), truth=truth))
        overlays.append(draw_prediction(image, prediction, skeleton=trained.skeleton))
    return items, overlays
