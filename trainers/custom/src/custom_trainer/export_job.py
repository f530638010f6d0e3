"""An export: the repository writes the model and measures its parity, the platform checks and keeps it."""

from __future__ import annotations

import json

from vision_trainer.contracts import ExportReport
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.reports import write_export
from vision_trainer.run import TrainerJob, TrainerOutcome

from .derived_job import lay_out_data, open_trained, run_command
from .foreign_files import copy_foreign
from .manifest import Manifest
from .outputs import ExportFile, read_written
from .settings import ExportOptions, read_options

# Of what lies in the export folder these are kept; data of an ONNX file beyond 2 GB lies beside it.
_KEPT = ("*.onnx", "*.onnx.data", "*.safetensors", "*.json", "*.onnx_data")


def export(job: TrainerJob) -> TrainerOutcome:
    """The whole job. Raises TrainerFailure (FRAMEWORK_ERROR above the tolerance), TrainingStopped."""
    read_options(ExportOptions, job.env.config)
    trained = open_trained(job, "export")
    repository = trained.repository
    lay_out_data(job, trained, None)
    written = repository.workspace.output / "export"
    written.mkdir()
    repository.variables["export"] = written
    job.events.phase("exporting")
    run_command(job, repository, "export")
    manifest = repository.manifest
    found = read_written(ExportFile, written / "export.json", repository.workspace.output, "export")
    folder = job.work_dir / "export-upload"
    folder.mkdir()
    for path in sorted({path for pattern in _KEPT for path in written.glob(pattern)}):
        if path.name != "export.json":
            try:
                copy_foreign(path, written, folder / path.name)
            except OSError as error:
                raise TrainerFailure(
                    FailureCode.FRAMEWORK_ERROR, f"The exported {path.name} cannot be read: {error}."
                ) from error
    if not (folder / manifest.export.model).is_file():
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR, f"The repository's export ended well, but there is no {manifest.export.model}."
        )
    (folder / "labels.json").write_text(json.dumps({"classes": trained.classes}, ensure_ascii=False, indent=1))
    (folder / "preprocessing.json").write_text(json.dumps(found.preprocessing, indent=1))
    job.events.phase("uploading")
    report = complete_report(found, manifest, trained.classes)
    write_export(job, folder, report)
    metrics: dict[str, float | None] = {}
    if report.parity.metric_exported is not None:
        metrics[report.parity.metric] = report.parity.metric_exported
    job.result.write("succeeded", metrics)
    return TrainerOutcome(metrics)


def complete_report(found: ExportFile, manifest: Manifest, classes: list[str]) -> ExportReport:
    """The report by the contract."""
    parity = found.parity
    both = parity.metric_original is not None and parity.metric_exported is not None
    return ExportReport.model_validate(
        {
            "v": 1,
            **found.model_dump(exclude={"parity"}),
            "artifact": manifest.export.model,
            "classes": classes,
            "parity": {
                **parity.model_dump(),
                "tolerance": manifest.export.tolerance,
                "metric_diff": abs((parity.metric_original or 0) - (parity.metric_exported or 0)) if both else None,
            },
        }
    )
