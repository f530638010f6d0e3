"""JOB_KIND=export: ONNX and safetensors, and the proof that the ONNX model says what the original says."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from vision_trainer.contracts import DatasetSample, ExportReport, Input, Output, Parity
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.images import sample_image
from vision_trainer.reports import write_export
from vision_trainer.run import TrainerJob, TrainerOutcome

from .classifier import Classifier, open_classifier, open_split
from .images import evaluation_picture
from .job_options import ExportOptions

OPSET = 18
_BATCH = 8
# A protobuf message ends at 2 GiB; weights of larger models lie in a file beside it.
_LARGEST_IN_ONE_FILE = 1_800_000_000


def export(job: TrainerJob, options: ExportOptions) -> TrainerOutcome:
    """Writes export/: model.onnx (any batch size), model.safetensors, labels.json, preprocessing.json, export.json.

    Raises FRAMEWORK_ERROR when the model cannot be exported, or when onnxruntime's outputs differ from torch's by more
    than the tolerance; then nothing is left behind.
    """
    classifier = open_classifier(job, on_cpu=True)
    reader, split = open_split(job, classifier, options.split)
    job.leave_if_stopped()
    job.events.phase("exporting", 0.0)
    folder = job.work_dir / "export"
    folder.mkdir()
    write_onnx(classifier.model, classifier.shape.size, folder / "model.onnx")
    job.leave_if_stopped()
    job.events.phase("exporting", 50.0)

    samples = reader.split(split)[: options.parity_samples]
    pictures = [evaluation_picture(sample_image(reader, sample), classifier.shape.size) for sample in samples]
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    report = ExportReport(
        v=1,
        format="onnx",
        artifact="model.onnx",
        engine=f"onnxruntime {onnxruntime.__version__}",
        opset=OPSET,
        inputs=[Input(name=value.name, shape=value.shape, type=value.type) for value in session.get_inputs()],
        outputs=[Output(name=value.name, shape=value.shape, type=value.type) for value in session.get_outputs()],
        preprocessing=preprocessing(classifier),
        classes=classifier.classes,
        parity=compare(classifier, session, np.stack(pictures), samples, options.tolerance),
    )
    about = {"model_name": classifier.model_name, "num_classes": len(classifier.classes), **report.preprocessing}
    save_file(classifier.weights, folder / "model.safetensors", metadata={"model": json.dumps(about)})
    _write_json(folder / "labels.json", {"classes": classifier.classes, "source": classifier.uri})
    _write_json(folder / "preprocessing.json", report.preprocessing)
    job.events.phase("uploading")
    write_export(job, folder, report)
    parity = report.parity
    metrics = {"val/top1": parity.metric_exported, "export/max_abs_diff": parity.max_abs_diff}
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def write_onnx(model: nn.Module, size: int, path: Path) -> None:
    """Exports to ONNX: input `images` (batch x 3 x size x size float32), output `logits` (batch x classes).

    Raises FRAMEWORK_ERROR with the exporter's own words.
    """
    large = sum(value.numel() * value.element_size() for value in model.state_dict().values()) > _LARGEST_IN_ONE_FILE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (torch.zeros(2, 3, size, size),),
                path,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                external_data=large,
                dynamo=True,
                verbose=False,
            )
        onnx.checker.check_model(path)
    except Exception as error:
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"This model cannot be exported to ONNX: {type(error).__name__}: {str(error)[:1000]}",
        ) from error


def compare(
    classifier: Classifier,
    session: onnxruntime.InferenceSession,
    pictures: NDArray[np.uint8],
    samples: list[DatasetSample],
    tolerance: float,
) -> Parity:
    """Runs both models on the same real images; top-1 by both where the samples have labels."""
    largest, right_original, right_exported = 0.0, 0, 0
    labels = np.array([sample.label if sample.label is not None else -1 for sample in samples])
    for first in range(0, len(pictures), _BATCH):
        inputs = classifier.normalise(torch.from_numpy(pictures[first : first + _BATCH])).contiguous()
        with torch.inference_mode():
            original = classifier.model(inputs).numpy()
        exported: Any = session.run(["logits"], {"images": inputs.numpy()})[0]
        largest = max(largest, float(np.abs(original - exported).max()))
        truth = labels[first : first + _BATCH]
        right_original += int((original.argmax(axis=1) == truth).sum())
        right_exported += int((exported.argmax(axis=1) == truth).sum())
    count = len(pictures)
    return Parity(
        samples=count,
        max_abs_diff=largest,
        tolerance=tolerance,
        metric="val/top1",
        metric_original=right_original / count,
        metric_exported=right_exported / count,
        metric_diff=(right_exported - right_original) / count,
    )


def preprocessing(classifier: Classifier) -> dict[str, Any]:
    """How pixels become the model's input."""
    shape = classifier.shape
    return {
        "orientation": "turn upright by EXIF",
        "crop": "largest centred square",
        "size": shape.size,
        "resize": "bilinear with antialiasing (Pillow)",
        "channels": "RGB",
        "layout": "NCHW",
        "scale": 1 / 255,
        "mean": list(shape.mean),
        "std": list(shape.std),
        "output": "logits; softmax gives probabilities",
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
