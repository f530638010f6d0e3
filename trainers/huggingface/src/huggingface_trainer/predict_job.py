"""JOB_KIND=predict: what the trained model says about given images, or about a split of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from PIL import Image
from vision_trainer.contracts import Prediction
from vision_trainer.images import sample_image
from vision_trainer.reports import PredictionWriter, prediction_images
from vision_trainer.run import TrainerJob, TrainerOutcome

from .examples import Batch, Example, stack
from .loader import EVALUATION_BATCH
from .settings import PredictSettings
from .tasks.task import Task
from .trained_model import TrainedModel, open_split, open_trained

# An image's name, its pixels, and what is to be said about it: one example, or for poses one for each object.
Subject = tuple[str, Image.Image, list[Example]]


def predict(job: TrainerJob, settings: PredictSettings) -> TrainerOutcome:
    """Writes predictions.jsonl and the first overlays. Raises DATASET_INVALID for what is no image."""
    trained = open_trained(job)
    subjects = _given(job, trained.task) if settings.images is not None else _of_split(job, trained, settings.split)
    task = trained.task
    writer = PredictionWriter(job, settings.max_overlays, classes=task.data.classes, skeleton=task.data.skeleton)
    job.events.phase("evaluating")
    while group := list(islice(subjects, EVALUATION_BATCH)):
        examples = [(image, example) for _, image, found in group for example in found]
        outcomes = iter(trained.measure(job, _batches(task, examples), with_loss=False))
        for name, image, found in group:
            own = list(islice(outcomes, len(found)))
            if own:
                prediction = task.prediction(own, settings.score_threshold)
            else:
                prediction = Prediction(image=name, width=image.width, height=image.height, objects=[])
            writer.add(prediction, image, task.mask(own[0]) if own else None)
    job.leave_if_stopped()
    job.events.phase("uploading")
    writer.finish()
    metrics: dict[str, float | None] = {"predict/images": float(writer.count)}
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def _given(job: TrainerJob, task: Task) -> Iterator[Subject]:
    """The images that the platform was given: nothing is known about them, so each is one example as a whole."""
    for name, image in prediction_images(job, None):
        yield name, image, [Example(name, image.width, image.height)]


def _of_split(job: TrainerJob, trained: TrainedModel, split: str | None) -> Iterator[Subject]:
    """The samples of a split; for poses their objects' boxes are where to look."""
    reader, _, samples = open_split(job, trained, split)
    for sample in samples:
        yield sample.id, sample_image(reader, sample), trained.task.examples([sample])


def _batches(task: Task, examples: Iterable[tuple[Image.Image, Example]]) -> Iterator[Batch]:
    rest = iter(examples)
    shape = task.data.shape
    while group := list(islice(rest, EVALUATION_BATCH)):
        views = [task.evaluation_view(example) for _, example in group]
        pictures = [
            view.render(image, shape.height, shape.width) for (image, _), view in zip(group, views, strict=True)
        ]
        yield stack(pictures, {}, [example for _, example in group], views)
