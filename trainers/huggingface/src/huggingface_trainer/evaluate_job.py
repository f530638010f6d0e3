"""JOB_KIND=evaluate: what the trained model is worth on a split, per class, and where it errs most."""

from __future__ import annotations

from PIL import Image
from vision_trainer.contracts import EvaluationReport
from vision_trainer.dataset import DatasetReader
from vision_trainer.drawing import describe_prediction, draw_prediction
from vision_trainer.images import sample_image
from vision_trainer.reports import write_evaluation
from vision_trainer.run import TrainerJob, TrainerOutcome

from .settings import EvaluateSettings
from .tasks.task import Outcome, by_image, sample_of
from .trained_model import TrainedModel, open_split, open_trained

_SHOWN_SCORE = 0.3


def evaluate_model(job: TrainerJob, settings: EvaluateSettings) -> TrainerOutcome:
    """The same figures as the training's own evaluation of these weights, to the last bit on the same machine."""
    trained = open_trained(job)
    reader, split, samples = open_split(job, trained, settings.split)
    job.events.phase("evaluating", 0.0)
    outcomes = trained.look_at(job, reader, samples, with_loss=True)
    measured = trained.task.summarise(outcomes)
    worst = sorted(by_image(outcomes), key=_score)[: settings.worst]
    report = EvaluationReport.model_validate(
        {
            "v": 1,
            "task_type": job.env.task_type,
            "split": split,
            "samples": len(samples),
            "metrics": measured.metrics,
            "classes": trained.task.data.classes,
            "per_class": measured.per_class,
            "confusion_matrix": measured.confusion,
            "pr_curves": measured.pr_curves,
            "worst": [_row(trained, found) for found in worst],
        }
    )
    overlays = [_drawn(trained, reader, found) for found in worst]
    job.leave_if_stopped()
    job.events.phase("uploading")
    write_evaluation(job, report, overlays)
    job.result.write("succeeded", measured.metrics)
    return TrainerOutcome(measured.metrics)


def _score(found: list[Outcome]) -> float:
    """The worst of an image's outcomes; those that cannot be judged come last."""
    return min((o.score for o in found if o.score is not None), default=float("inf"))


def _row(trained: TrainedModel, found: list[Outcome]) -> dict[str, object]:
    prediction = describe_prediction(trained.task.prediction(found, _SHOWN_SCORE))
    score = _score(found)
    return {
        "image": found[0].example.name,
        "score": score if score != float("inf") else None,
        "prediction": prediction[:2000],
        "truth": trained.task.truth(found[0])[:2000],
    }


def _drawn(trained: TrainedModel, reader: DatasetReader, found: list[Outcome]) -> Image.Image:
    image = sample_image(reader, sample_of(found[0].example))
    prediction = trained.task.prediction(found, _SHOWN_SCORE)
    return draw_prediction(image, prediction, trained.task.mask(found[0]), trained.task.data.skeleton)
