"""JOB_KIND=export: ONNX and safetensors, and the proof that the ONNX model says what the original says."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from vision_trainer.contracts import ExportReport
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.reports import write_export
from vision_trainer.run import TrainerJob, TrainerOutcome

from .artifacts import preprocessing, pretty
from .examples import Example, ImageSource
from .loader import EvaluationBatches
from .settings import ExportSettings
from .tasks.task import Arrays, Outcome, Task
from .trained_model import TrainedModel, open_split, open_trained

MODEL_FILE = "model.onnx"
OPSET = 18
# Of outputs that are logits, coordinates from 0 to 1, or heat from 0 to 1: float32 rounding, many layers deep.
TOLERANCE = 1e-3
_PARITY_BATCH = 4


class Exportable(nn.Module):
    """A model whose forward takes and gives plain tensors, in the order of the names in the exported file."""

    def __init__(self, task: Task, model: nn.Module, inputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self._task = task
        self._inputs = inputs

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The task's raw outputs."""
        raw = self._task.infer(self.model, dict(zip(self._inputs, tensors, strict=True)))
        return tuple(raw[name] for name in self._task.outputs)


def export(job: TrainerJob, settings: ExportSettings) -> TrainerOutcome:
    """Writes export/: model.onnx, model.safetensors, config.json, labels.json, preprocessing.json, export.json.

    Raises FRAMEWORK_ERROR when the model cannot be exported, or when its outputs differ by more than the tolerance.
    """
    trained = open_trained(job, on_cpu=True)
    reader, _, samples = open_split(job, trained, settings.split)
    job.events.phase("exporting", 0.0)
    task = trained.task
    folder = job.work_dir / "export"
    folder.mkdir()
    source = ImageSource(reader, samples, budget=0)
    examples = task.examples(samples)[: settings.parity_samples]
    if not examples:
        raise TrainerFailure(FailureCode.DATASET_INVALID, "There is nothing in this split to compare the export on.")
    if task.data.tokens is not None:
        from .caption_export import CaptionExport

        engine: Any = CaptionExport(trained, folder)
    else:
        engine = OnnxExport(trained, folder)
    job.leave_if_stopped()
    job.events.phase("exporting", 50.0)
    report = _compare(job, trained, engine, EvaluationBatches(task, source, examples), examples)
    _write_rest(trained, folder)
    job.events.phase("uploading")
    write_export(job, folder, report)
    metrics = {
        report.parity.metric: report.parity.metric_exported,
        "export/max_abs_diff": report.parity.max_abs_diff,
    }
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


class OnnxExport:
    """One file: the whole model, batch size free."""

    def __init__(self, trained: TrainedModel, folder: Path) -> None:
        self._task = trained.task
        self._model = trained.model
        self._names = ["pixel_values", *(["pixel_mask"] if trained.task.data.shape.letterbox else [])]
        shape = trained.task.data.shape
        examples = [torch.rand(2, 3, shape.height, shape.width)]
        if shape.letterbox:
            examples.append(torch.ones(2, shape.height, shape.width, dtype=torch.int64))
        wrapped = Exportable(trained.task, trained.model, self._names).eval()
        self.session = write_onnx(wrapped, tuple(examples), self._names, trained.task.outputs, folder / MODEL_FILE)

    def run(self, inputs: dict[str, Tensor]) -> Arrays:
        """The raw outputs by name, computed by onnxruntime."""
        feed = {name: inputs[name].numpy() for name in self._names}
        values = self.session.run(list(self._task.outputs), feed)
        return dict(zip(self._task.outputs, values, strict=True))

    def gap(self, inputs: dict[str, Tensor], ours: Arrays, theirs: Arrays) -> float:
        """The largest difference of any value."""
        return self._task.gap(self._model, inputs, ours, theirs)


def write_onnx(
    module: nn.Module,
    examples: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    path: Path,
    dynamic: dict[str, dict[int, str]] | None = None,
) -> onnxruntime.InferenceSession:
    """Exports a module and opens the file with onnxruntime. `dynamic` names the free axes; without it
    the first one of every input and output is the batch.

    Raises FRAMEWORK_ERROR when the model cannot be exported.
    """
    axes = dynamic or {name: {0: "batch"} for name in (*inputs, *outputs)}
    try:
        with warnings.catch_warnings(), torch.inference_mode(mode=False), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                examples,
                str(path),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"{path.name} cannot be made: {type(error).__name__}: {str(error)[:500]}",
        ) from error


def _compare(
    job: TrainerJob, trained: TrainedModel, engine: Any, batches: EvaluationBatches, examples: list[Example]
) -> ExportReport:
    """Runs both models on the same real samples and measures both."""
    task = trained.task
    original: list[Outcome] = []
    exported: list[Outcome] = []
    largest = 0.0
    for first in range(0, len(examples), _PARITY_BATCH):
        job.leave_if_stopped()
        batch = batches.make(list(range(first, min(first + _PARITY_BATCH, len(examples)))))
        inputs = trained.preparation.inputs(batch)
        with torch.inference_mode():
            ours = {name: value.numpy() for name, value in task.infer(trained.model, inputs).items()}
        theirs = engine.run(inputs)
        largest = max(largest, engine.gap(inputs, ours, theirs))
        for raw, collected in ((ours, original), (theirs, exported)):
            found = task.outcomes(raw, batch.examples, batch.views)
            task.judge(found, batch.targets)
            collected.extend(found)
    metric = task.primary_metric
    values = [task.summarise(outcomes).metrics[metric] for outcomes in (original, exported)]
    difference = abs(values[0] - values[1]) if values[0] is not None and values[1] is not None else None
    return ExportReport.model_validate(
        {
            "v": 1,
            "format": "onnx",
            "artifact": MODEL_FILE,
            "engine": f"onnxruntime {onnxruntime.__version__}",
            "opset": OPSET,
            "inputs": [_tensor(value) for value in engine.session.get_inputs()],
            "outputs": [_tensor(value) for value in engine.session.get_outputs()],
            "preprocessing": preprocessing(task.data),
            "classes": task.data.classes,
            "parity": {
                "samples": len({example.name for example in examples}),
                "max_abs_diff": largest,
                "tolerance": TOLERANCE,
                "metric": metric,
                "metric_original": values[0],
                "metric_exported": values[1],
                "metric_diff": difference,
            },
        }
    )


def _write_rest(trained: TrainedModel, folder: Path) -> None:
    """The weights as safetensors, and what is needed to use either file."""
    weights = {name: value.contiguous() for name, value in trained.weights.items()}
    about = {"model_name": trained.spec.name, "task_type": trained.task.type}
    save_file(weights, folder / "model.safetensors", metadata={"model": json.dumps(about), "format": "pt"})
    data = trained.task.data
    texts = {
        "config.json": pretty(trained.config),
        "labels.json": pretty({"model_name": trained.spec.name, "classes": data.classes}),
        "preprocessing.json": pretty(preprocessing(data)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    if data.tokens is not None:
        data.tokens.save(folder)


def _tensor(value: Any) -> dict[str, Any]:
    shape = [axis if isinstance(axis, int) else str(axis) for axis in value.shape]
    return {"name": value.name, "shape": shape, "type": value.type}
