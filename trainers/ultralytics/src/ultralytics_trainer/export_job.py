# SPDX-License-Identifier: AGPL-3.0-only
"""JOB_KIND=export: ONNX and safetensors, and the proof that the ONNX model says what the original says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from safetensors.torch import save_file
from ultralytics.engine.exporter import Exporter
from vision_trainer.contracts import ExportReport, Input, Output, Parity
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.reports import write_export
from vision_trainer.run import TrainerJob, TrainerOutcome

from .measures import PRIMARY, validate
from .parity import OnnxNetwork
from .presets import common_arguments
from .settings import ExportOptions
from .trained_model import TrainedModel, open_split, open_trained
from .validation import prepare_validation
from .yolo_data import write_split


def export(job: TrainerJob, options: ExportOptions) -> TrainerOutcome:
    """Writes export/: model.onnx, model.safetensors, labels.json, preprocessing.json, export.json.

    Raises FRAMEWORK_ERROR when the model cannot be exported, or when onnxruntime's outputs differ from torch's by more
    than the tolerance; then nothing is left behind.
    """
    trained = open_trained(job, on_cpu=True)
    reader, split = open_split(job, trained, None)
    samples = reader.split(split)[: options.parity_samples]
    reader.samples = samples
    data = write_split(reader, job.env.task_type, job.work_dir / "dataset", split)
    job.leave_if_stopped()
    job.events.phase("exporting", 0.0)
    folder = job.work_dir / "export"
    folder.mkdir()
    path = write_onnx(trained, folder, options)
    job.leave_if_stopped()
    job.events.phase("exporting", 50.0)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    trainer = prepare_validation(trained, data, job.work_dir / "run", square=True)
    primary = PRIMARY[job.env.task_type]
    original = validate(trainer)[primary]
    exported_network = OnnxNetwork(session, trainer.model)
    trainer.ema.ema = exported_network
    exported = validate(trainer)[primary]
    # Boxes are in pixels: a difference counts by the size of the numbers it is found in.
    tolerance = options.tolerance * max(1.0, exported_network.largest_value)
    report = ExportReport(
        v=1,
        format="onnx",
        artifact="model.onnx",
        engine=f"onnxruntime {onnxruntime.__version__}",
        opset=max(item.version for item in onnx.load(path, load_external_data=False).opset_import if not item.domain),
        inputs=[Input(name=item.name, shape=item.shape, type=item.type) for item in session.get_inputs()],
        outputs=[Output(name=item.name, shape=item.shape, type=item.type) for item in session.get_outputs()],
        preprocessing=preprocessing(trained),
        classes=trained.classes,
        parity=Parity(
            samples=len(samples),
            max_abs_diff=exported_network.largest_difference,
            tolerance=tolerance,
            metric=primary,
            metric_original=original,
            metric_exported=exported,
            metric_diff=None if original is None or exported is None else exported - original,
        ),
    )
    about = {"model_name": job.env.model_name, "task_type": job.env.task_type, **report.preprocessing}
    save_file(trained.weights, folder / "model.safetensors", metadata={"model": json.dumps(about)})
    _write_json(folder / "labels.json", {"classes": trained.classes, "source": trained.uri})
    _write_json(folder / "preprocessing.json", report.preprocessing)
    job.events.phase("uploading")
    write_export(job, folder, report)
    metrics = {primary: exported, "export/max_abs_diff": report.parity.max_abs_diff}
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def write_onnx(trained: TrainedModel, folder: Path, options: ExportOptions) -> Path:
    """Exports by the framework's own exporter: input `images` (batch x 3 x height x width, 0 to 1).

    Raises FRAMEWORK_ERROR with the exporter's own words.
    """
    arguments = common_arguments(trained.model, size=trained.size, batch_size=1, device="cpu", save_dir=folder)
    arguments |= {
        "mode": "export",
        "format": "onnx",
        "opset": options.opset,
        "dynamic": options.dynamic,
        # The simplifier is another package, and would be installed on the way.
        "simplify": False,
    }
    network = trained.network
    network.task = arguments["task"]
    # The exporter writes beside the file that the model came from.
    network.pt_path = str(folder / "model.pt")
    try:
        exporter = Exporter(overrides=arguments)
        path = Path(exporter(model=network))
        onnx.checker.check_model(path)
    except Exception as error:
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"This model cannot be exported to ONNX: {type(error).__name__}: {str(error)[:1000]}",
        ) from error
    return path


def preprocessing(trained: TrainedModel) -> dict[str, Any]:
    """How pixels become the model's input, and what its outputs are."""
    common = {
        "orientation": "turn upright by EXIF",
        "size": trained.size,
        "channels": "RGB",
        "layout": "NCHW",
        "scale": 1 / 255,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
    }
    if trained.model.task == "image_classification":
        fitted = "shorter side to size, bilinear with antialiasing, then the centred square"
        return {**common, "resize": fitted, "output": "output0: probabilities, batch x classes"}
    rows = {
        "object_detection": "output0: batch x (4 + classes) x places: centre x, centre y, width, height in pixels of "
        "the input, then a score for each class",
        "instance_segmentation": "output0: as in detection, then 32 mask coefficients; output1: 32 mask prototypes",
        "pose_estimation": "output0: as in detection, then x, y, score for each key point",
    }
    return {
        **common,
        "resize": "longer side to size, bilinear; the rest filled with grey 114, centred",
        "output": rows[trained.model.task] + "; overlapping boxes are still in it (non-maximum suppression is yours)",
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
