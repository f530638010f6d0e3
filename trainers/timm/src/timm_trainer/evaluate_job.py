"""JOB_KIND=evaluate: what the trained model is worth on a split, per class, and where it errs most."""

from __future__ import annotations

from vision_trainer.contracts import DatasetSample, EvaluationReport, PerClassItem, WorstItem
from vision_trainer.dataset import DatasetReader
from vision_trainer.drawing import draw_prediction
from vision_trainer.loader import Loader, loader_threads
from vision_trainer.reports import write_evaluation
from vision_trainer.run import TrainerJob, TrainerOutcome

from .classifier import Classifier, open_classifier, open_split
from .evaluation import Evaluation, Verdict, evaluate
from .images import ImageSource
from .job_options import EvaluateOptions
from .loader import EvaluationBatches
from .team import Team
from .verdicts import prediction_of


def evaluate_model(job: TrainerJob, options: EvaluateOptions) -> TrainerOutcome:
    """The same figures as the training's own evaluation of these weights, to the last bit on the same machine."""
    classifier = open_classifier(job)
    reader, split = open_split(job, classifier, options.split)
    samples = reader.split(split)
    job.events.phase("evaluating", 0.0)
    result = _measure(job, classifier, reader, samples)
    worst = sorted(result.verdicts, key=lambda verdict: verdict.loss, reverse=True)[: options.worst_samples]
    source = ImageSource(reader, samples, budget=0)
    overlays = [
        draw_prediction(
            source.image(verdict.index),
            prediction_of(
                samples[verdict.index].id,
                samples[verdict.index].width,
                samples[verdict.index].height,
                verdict,
                classifier.classes,
            ),
        )
        for verdict in worst
    ]
    report = EvaluationReport(
        v=1,
        task_type="image_classification",
        split=split,
        samples=len(samples),
        metrics=result.metrics,
        classes=classifier.classes,
        per_class=per_class(result.confusion, classifier.classes),
        confusion_matrix=[[float(count) for count in row] for row in result.confusion],
        worst=[_worst(samples[verdict.index], verdict, classifier.classes) for verdict in worst],
    )
    job.events.phase("uploading")
    write_evaluation(job, report, overlays)
    job.result.write("succeeded", result.metrics)
    return TrainerOutcome(result.metrics)


def per_class(confusion: list[list[int]], classes: list[str]) -> list[PerClassItem]:
    """Precision, recall and F1 of each class from `confusion[truth][prediction]`; None where nothing can be said."""
    items = []
    for number, name in enumerate(classes):
        right = confusion[number][number]
        truly, said = sum(confusion[number]), sum(row[number] for row in confusion)
        metrics = {
            "precision": right / said if said else None,
            "recall": right / truly if truly else None,
            # 2TP / (2TP + FP + FN), which is the harmonic mean of the two.
            "f1": 2 * right / (truly + said) if truly + said else None,
        }
        items.append(PerClassItem(name=name, support=truly, metrics=metrics))
    return items


def _measure(
    job: TrainerJob, classifier: Classifier, reader: DatasetReader, samples: list[DatasetSample]
) -> Evaluation:
    batches = EvaluationBatches(
        ImageSource(reader, samples), classifier.shape.size, pin=classifier.device.type == "cuda"
    )
    with Loader(loader_threads(classifier.device.type)) as loader:
        result = evaluate(
            classifier.model,
            batches(loader),
            batches.rounds,
            len(classifier.classes),
            classifier.normalise,
            classifier.precision,
            classifier.device,
            Team(),
            lambda: job.stop.stop_requested,
        )
    job.leave_if_stopped()
    # None comes of a stop alone, and leave_if_stopped has raised then.
    assert result is not None  # noqa: S101
    return result


def _worst(sample: DatasetSample, verdict: Verdict, classes: list[str]) -> WorstItem:
    said = f"{classes[verdict.labels[0]]} ({verdict.scores[0]:.2f})"
    # Lower is worse: the log-likelihood of the truth.
    return WorstItem(image=sample.id, score=-verdict.loss, prediction=said, truth=classes[sample.label or 0])
