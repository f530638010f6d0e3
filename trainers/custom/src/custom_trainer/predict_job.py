"""A prediction: images go into a folder, the repository writes a line for each, the platform draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from vision_trainer.contracts import Prediction
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.reports import PredictionWriter, prediction_images
from vision_trainer.run import TrainerJob, TrainerOutcome

from .derived_job import Trained, open_trained, run_command
from .evaluate_job import prediction_fields
from .foreign_files import open_foreign
from .outputs import PredictionLine, read_predictions
from .settings import PredictOptions, read_options


def predict(job: TrainerJob) -> TrainerOutcome:
    """The whole job. Raises TrainerFailure, TrainingStopped."""
    options = read_options(PredictOptions, job.env.config)
    trained = open_trained(job, "predict")
    repository, output = trained.repository, trained.repository.workspace.output
    reader = (
        None
        if options.images is not None
        else open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, task_type=job.env.task_type)
    )
    names = _write_images(job, trained, reader, options.split)
    repository.variables["predictions"] = output / "predictions.jsonl"
    job.events.phase("evaluating")
    run_command(job, repository, "predict")
    lines = {line.image: line for line in read_predictions(output / "predictions.jsonl", output, len(trained.classes))}
    missing = [file for file in names if file not in lines]
    if missing:
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"The repository's predict wrote no line for {len(missing)} of {len(names)} images ({missing[0]} …).",
        )
    job.events.phase("uploading")
    writer = PredictionWriter(job, options.max_overlays, classes=trained.classes, skeleton=_skeleton(reader))
    folder = Path(str(repository.variables["images"]))
    for file, name in names.items():
        with Image.open(folder / file) as opened:
            image = opened.convert("RGB")
        line = lines[file]
        fields = prediction_fields(line, trained.classes, name, *image.size)
        writer.add(Prediction.model_validate(fields), image, read_mask(line, output, image))
    writer.finish()
    metrics: dict[str, float | None] = {}
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def _write_images(job: TrainerJob, trained: Trained, reader: DatasetReader | None, split: str | None) -> dict[str, str]:
    """Writes the images as PNG files and the list of them. Returns file name → name of the image."""
    folder = trained.repository.workspace.data / "images-to-predict"
    folder.mkdir(parents=True)
    names = {}
    for number, (name, image) in enumerate(prediction_images(job, reader, split)):
        file = f"{number:06d}.png"
        image.save(folder / file, compress_level=1)
        names[file] = name
    listing = folder.with_suffix(".json")
    listing.write_text(json.dumps([{"file": file, "name": name} for file, name in names.items()]))
    trained.repository.variables |= {"images": folder, "images_json": listing}
    return names


def read_mask(
    line: PredictionLine, root: Path, image: Image.Image
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]] | None:
    """The class indices of a semantic segmentation, height x width; None where the line names no file of them.

    Raises FRAMEWORK_ERROR.
    """
    if line.mask_file is None:
        return None
    try:
        with open_foreign(root / line.mask_file, root) as file, Image.open(file) as opened:
            mask = np.asarray(opened.convert("L") if opened.mode not in ("L", "P") else opened, np.uint8)
    except OSError as error:
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR, f"The mask {line.mask_file} of {line.image} cannot be read: {error}."
        ) from error
    if mask.shape != (image.height, image.width):
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"The mask {line.mask_file} is {mask.shape[1]}x{mask.shape[0]}, its image {image.width}x{image.height}.",
        )
    return mask


def _skeleton(reader: DatasetReader | None) -> list[tuple[float, float]]:
    keypoints = reader.manifest.keypoints if reader is not None else None
    return [pair.root for pair in keypoints.skeleton] if keypoints else []
