"""What a finished training leaves behind."""

from __future__ import annotations

import json

from vision_trainer.run import TrainerJob

from .walk import WEIGHTS, Progress, write_weights


def upload_artifacts(job: TrainerJob, progress: Progress, classes: list[str]) -> None:
    """Uploads the best weights, labels and history. RESULT.json is the caller's."""
    folder = job.work_dir / "artifacts"
    folder.mkdir()
    write_weights(folder / WEIGHTS, progress.best_weights)
    (folder / "labels.json").write_text(json.dumps({"classes": classes, "epoch": progress.best_epoch}), "utf-8")
    (folder / "history.json").write_text(json.dumps(progress.history), "utf-8")
    for path in sorted(folder.iterdir()):
        job.result.add_artifact(path, path.name)
    lines = job.work_dir / "metrics.jsonl"
    rows = ({"epoch": number, **row} for number, row in enumerate(progress.history, 1))
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    job.result.add_artifact(lines, lines.name, folder="")
