"""What a finished training leaves behind."""

from __future__ import annotations

import json

from safetensors.torch import save_file
from torch import Tensor
from vision_trainer.run import TrainerJob

from .model import ModelInput
from .progress import Progress


def upload_artifacts(
    job: TrainerJob, progress: Progress, best: dict[str, Tensor], classes: list[str], shape: ModelInput
) -> None:
    """Uploads the best weights, the labels, the history and the confusion matrix. RESULT.json is the caller's.

    Everything needed to load the weights again lies beside them: architecture, input size and normalisation in
    labels.json and in the safetensors metadata.
    """
    folder = job.work_dir / "artifacts"
    folder.mkdir()
    about = {
        "model_name": job.env.model_name,
        "num_classes": len(classes),
        "input_size": shape.size,
        "mean": shape.mean,
        "std": shape.std,
        "epoch": progress.best_epoch,
    }
    weights = folder / "model.safetensors"
    save_file(best, weights, metadata={"model": json.dumps(about)})
    job.result.add_artifact(weights, weights.name)

    texts = {
        "labels.json": _pretty({**about, "classes": classes}),
        "confusion_matrix.json": _pretty(
            {"classes": classes, "rows": "truth", "columns": "prediction", "matrix": progress.best_confusion}
        ),
        "history.json": _pretty(progress.history),
    }
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        job.result.add_artifact(path, name)

    lines = folder / "metrics.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in progress.history), encoding="utf-8")
    job.result.add_artifact(lines, lines.name, folder="")


def _pretty(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
