# SPDX-License-Identifier: AGPL-3.0-only
"""What a finished training leaves behind."""

from __future__ import annotations

import json
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from vision_trainer.run import TrainerJob

from .progress import Progress


def upload_artifacts(job: TrainerJob, progress: Progress, best: dict[str, Tensor], model: dict[str, Any]) -> None:
    """Uploads the best weights, the labels and the history. RESULT.json is the caller's.

    Everything needed to load the weights again lies beside them, in labels.json and in the safetensors metadata.
    """
    folder = job.work_dir / "artifacts"
    folder.mkdir()
    about = {**model, "epoch": progress.best_epoch}
    weights = folder / "model.safetensors"
    save_file(best, weights, metadata={"model": json.dumps(about)})
    job.result.add_artifact(weights, weights.name)
    for name, content in {"labels.json": about, "history.json": progress.history}.items():
        path = folder / name
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        job.result.add_artifact(path, name)
    lines = folder / "metrics.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in progress.history), encoding="utf-8")
    job.result.add_artifact(lines, lines.name, folder="")
