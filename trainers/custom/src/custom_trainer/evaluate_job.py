"""An evaluation: the repository's own command measures, the platform checks, completes and draws."""

from __future__ import annotations

from typing import Any

from PIL import Image
from vision_trainer.contracts import EvaluationReport, PerClassItem, Prediction, WorstItem
from vision_trainer.dataset import DatasetReader
from vision_trainer.drawing import describe_prediction, draw_prediction
from vision_trainer.images import sample_image
from vision_trainer.reports import write_evaluation
from vision_trainer.run import TrainerJob, TrainerOutcome

from .derived_job import lay_out_data, open_trained, run_command
from .outputs import PredictionLine, ReportFile, WorstLine, read_written
from .settings import EvaluateOptions, read_options


def evaluate(job: TrainerJob) -> TrainerOutcome:
    """The whole job. Raises TrainerFailure, TrainingStopped."""
    options = read_options(EvaluateOptions, job.env.config)
    trained = open_trained(job, "evaluate")
    reader, split = lay_out_data(job, trained, options.split)
    repository = trained.repository
    path = repository.workspace.output / "evaluation-report.json"
    repository.variables["report"] = path
    job.events.phase("evaluating")
    run_command(job, repository, "evaluate")
    found = read_written(ReportFile, path, repository.workspace.output, "evaluate")
    report = complete_report(job, found, reader, split)
    pictures = [draw_worst(line, reader, trained.classes) for line in found.worst]
    overlays = [picture for picture in pictures if picture is not None]
    # A name that no sample has gets no picture, and then the ones behind it would move up.
    job.events.phase("uploading")
    write_evaluation(job, report, overlays if len(overlays) == len(pictures) else [])
    metrics = dict(report.metrics)
    job.events.publish(
        "metrics",
        {
            "scope": "epoch",
            "split": split if split in ("train", "test") else "val",
            "epoch": 0,
            "step": 0,
            "values": metrics,
        },
    )
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def complete_report(job: TrainerJob, found: ReportFile, reader: DatasetReader, split: str) -> EvaluationReport:
    """The report by the contract: names for indices, and what the platform knows by itself."""
    classes = reader.classes
    names = dict(enumerate(classes))
    worst = [
        WorstItem(
            image=_sample_id(line.image),
            score=line.score,
            prediction=describe_prediction(_prediction(line, classes, 1, 1))[:2000],
            truth=line.truth,
        )
        for line in found.worst
    ]
    per_class = [
        PerClassItem(name=names.get(entry.category, str(entry.category)), support=entry.support, metrics=entry.metrics)
        for entry in found.per_class
    ]
    return EvaluationReport.model_validate(
        {
            "v": 1,
            "task_type": job.env.task_type,
            "split": split,
            "samples": found.samples if found.samples is not None else len(reader.split(split)),
            "metrics": found.metrics,
            "classes": classes,
            "per_class": [entry.model_dump() for entry in per_class],
            "confusion_matrix": found.confusion_matrix,
            "pr_curves": [curve.model_dump() for curve in found.pr_curves] if found.pr_curves else None,
            "worst": [entry.model_dump() for entry in worst],
        }
    )


def draw_worst(line: WorstLine, reader: DatasetReader, classes: list[str]) -> Image.Image | None:
    """The sample with the prediction drawn on it; None for a name that no sample has."""
    wanted = _sample_id(line.image)
    sample = next((sample for sample in reader.samples if sample.id == wanted), None)
    if sample is None:
        return None
    image = sample_image(reader, sample)
    return draw_prediction(image, _prediction(line, classes, *image.size), None, _skeleton(reader))


def _skeleton(reader: DatasetReader) -> list[tuple[float, float]]:
    keypoints = reader.manifest.keypoints
    return [pair.root for pair in keypoints.skeleton] if keypoints else []


def _sample_id(name: str) -> str:
    """Converters name files after samples."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in {"jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"} else name


def _prediction(line: PredictionLine, classes: list[str], width: int, height: int) -> Prediction:
    return Prediction.model_validate(prediction_fields(line, classes, line.image, width, height))


def prediction_fields(line: PredictionLine, classes: list[str], image: str, width: int, height: int) -> dict[str, Any]:
    """A Prediction's fields: the line with class names."""

    def named(entry: dict[str, Any]) -> dict[str, Any]:
        index = entry["category"]
        return entry | {"name": classes[index] if index < len(classes) else str(index)}

    return {
        "image": image,
        "width": width,
        "height": height,
        "labels": None if line.labels is None else [named(entry.model_dump()) for entry in line.labels],
        "objects": None if line.objects is None else [named(entry.model_dump()) for entry in line.objects],
        "caption": line.caption,
    }
