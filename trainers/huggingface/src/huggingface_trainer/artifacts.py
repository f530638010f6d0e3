"""What a finished training leaves behind."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor, nn
from vision_trainer.run import TrainerJob

from .captions import TOKENIZER_FILE
from .progress import Progress
from .tasks.task import TaskData


def upload_artifacts(
    job: TrainerJob, progress: Progress, model: nn.Module, best: dict[str, Tensor], data: TaskData
) -> None:
    """Uploads the best weights as transformers reads them, the labels and the history. RESULT.json is the caller's.

    config.json and model.safetensors in one folder are what `from_pretrained(folder)` takes; `preprocessing.json` says
    how pixels become the input. The model's weights are overwritten with the best ones.
    """
    folder = job.work_dir / "artifacts"
    folder.mkdir()
    model.load_state_dict(best)
    pretrained: Any = model
    pretrained.save_pretrained(folder, safe_serialization=True, max_shard_size="1000GB")
    if data.tokens is not None:
        data.tokens.save(folder)
    for name in ("model.safetensors", "config.json", TOKENIZER_FILE):
        if (folder / name).exists():
            job.result.add_artifact(folder / name, name)

    texts = {
        "labels.json": pretty(
            {"model_name": job.env.model_name, "classes": data.classes, "epoch": progress.best_epoch}
        ),
        "preprocessing.json": pretty(preprocessing(data)),
        "history.json": pretty(progress.history),
    }
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        job.result.add_artifact(path, name)

    lines = folder / "metrics.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in progress.history), encoding="utf-8")
    job.result.add_artifact(lines, lines.name, folder="")


def preprocessing(data: TaskData) -> dict[str, Any]:
    """How an upright RGB image becomes the model's input."""
    return {
        **data.shape.as_dict(),
        "channels": "RGB",
        "scale": "(value / 255 - mean) / std",
        "layout": "NCHW float32",
        "resize": "keep proportions, pad right and below with black" if data.shape.letterbox else "stretch",
        "interpolation": "bilinear, smoothed where it shrinks (Pillow)",
    }


def pretty(content: object) -> str:
    """JSON for people."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
