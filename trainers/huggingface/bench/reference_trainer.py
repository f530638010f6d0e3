"""transformers' own Trainer with a model, data and settings of this trainer: what ./vp bench trainers compares with.

Usage: python bench/reference_trainer.py <canonical dataset folder> <model> <epochs> <batch size> <learning rate> [seed]
Prints one JSON line: samples_per_s (of every epoch's training steps), metric, final, first_step_s.
"""

from __future__ import annotations

import time

STARTED = time.monotonic()

import json  # noqa: E402 - the clock starts before the imports
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch  # noqa: E402
from transformers import Trainer, TrainerCallback, TrainingArguments  # noqa: E402

from huggingface_trainer.captions import CaptionTokens  # noqa: E402
from huggingface_trainer.examples import ImageSource  # noqa: E402
from huggingface_trainer.loader import EvaluationBatches  # noqa: E402
from huggingface_trainer.measuring import Preparation, measure  # noqa: E402
from huggingface_trainer.model_list import MODELS, family_of  # noqa: E402
from huggingface_trainer.models import build_model, model_config, model_input  # noqa: E402
from huggingface_trainer.sampling import steps_per_epoch  # noqa: E402
from huggingface_trainer.tasks import TASKS, TaskData  # noqa: E402
from huggingface_trainer.tasks.task import Task  # noqa: E402

sys.path[:0] = [str(Path(__file__).parents[2] / "sdk" / "tests")]
from dataset_writer import open_folder  # noqa: E402


class Stopwatch(TrainerCallback):
    """When the first step was done, and the seconds of each epoch's steps; what lies between epochs is none of them."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.epochs: list[float] = []
        self._begun = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Starts the clock: loading the first batch counts as it does for ours."""
        self._begun = time.monotonic()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Notes the first."""
        if self.first is None:
            self.first = time.monotonic() - STARTED

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """Stops it."""
        self.epochs.append(time.monotonic() - self._begun)


class Pictures(torch.utils.data.Dataset[dict[str, Any]]):
    """The training examples, resized as our trainer does without augmentation."""

    def __init__(self, task: Task, source: ImageSource, samples: list[Any]) -> None:
        self._batches = EvaluationBatches(task, source, task.examples(samples))

    def __len__(self) -> int:
        return len(self._batches.examples)

    def __getitem__(self, index: int) -> Any:
        return self._batches.make([index])


class OwnLoss(Trainer):
    """Trainer with the task's loss: some of transformers' models have none, or another one than we train with."""

    def __init__(self, task: Task, preparation: Preparation, **options: Any) -> None:
        super().__init__(**options)
        self._task = task
        self._preparation = preparation

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> torch.Tensor:
        """The mean loss of the batch."""
        batch = inputs["batch"]
        return self._task.loss(model, self._preparation.inputs(batch), self._preparation.targets(batch))


def main(folder: Path, name: str, epochs: int, batch_size: int, learning_rate: float, seed: int) -> dict[str, Any]:
    """Trains and measures. Returns the line that is printed."""
    reader = open_folder(folder)
    spec = MODELS[name]
    family = family_of(spec)
    samples, val_samples = reader.split("train"), reader.split("val")
    tokens = CaptionTokens.from_captions(caption for s in samples for caption in s.captions or ())
    words = tokens if spec.family == "blip" else None
    data = TaskData(
        reader.classes, model_input(spec, None), reader.manifest.keypoints, words, two_stage=family.two_stage
    )
    task = TASKS[family.task_type](data)
    points = len(data.keypoints.names) if data.keypoints else 0
    config = model_config(spec, data.shape, data.classes, points, words.ids if words else None, None)
    model = build_model(spec, config, seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    preparation = Preparation(task, device)
    watch = Stopwatch()
    examples = Pictures(task, ImageSource(reader, samples), samples)
    steps = steps_per_epoch(len(examples), batch_size)

    def collate(items: list[Any]) -> dict[str, Any]:
        first = items[0]
        first.images = torch.cat([item.images for item in items])
        first.targets = task.collate([_uncollated(item.targets) for item in items])
        first.examples = [example for item in items for example in item.examples]
        first.views = [view for item in items for view in item.views]
        return {"batch": first}

    with tempfile.TemporaryDirectory() as folder_name:
        arguments = TrainingArguments(
            output_dir=folder_name,
            num_train_epochs=epochs,
            per_device_train_batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=0.01,
            max_grad_norm=1.0,
            lr_scheduler_type="cosine",
            warmup_steps=round(0.5 * steps),
            seed=seed,
            use_cpu=device.type == "cpu",
            bf16=device.type == "cuda",
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            remove_unused_columns=False,
            dataloader_num_workers=0,
        )
        trainer = OwnLoss(
            task,
            preparation,
            model=model,
            args=arguments,
            train_dataset=examples,
            data_collator=collate,
            callbacks=[watch],
        )
        trainer.train()
    batches = EvaluationBatches(task, ImageSource(reader, val_samples), task.examples(val_samples))
    lists = range(0, len(batches.examples), 16)
    made = (batches.make(list(range(at, min(at + 16, len(batches.examples))))) for at in lists)
    outcomes = measure(model.to(device), task, made, preparation, lambda: False) or []
    return {
        "model": name,
        "samples_per_s": [round(len(examples) / seconds, 1) for seconds in watch.epochs],
        "metric": task.primary_metric,
        "final": task.summarise(outcomes).metrics[task.primary_metric],
        "first_step_s": round(watch.first or 0.0, 3),
        "seed": seed,
    }


def _uncollated(targets: dict[str, Any]) -> dict[str, Any]:
    """One example's targets, as `Task.target` made them, out of a batch of one."""
    row: dict[str, Any] = {}
    for key, values in targets.items():
        value = values[0]
        if key == "labels":
            row |= {name: tensor.numpy() for name, tensor in value.items()}
        elif key == "ids":
            row[key] = value.tolist()
        else:
            row[key] = value.numpy() if isinstance(value, torch.Tensor) else value
    if "label" in row:
        row["label"] = int(row["label"])
    return row


if __name__ == "__main__":
    print(
        json.dumps(
            main(
                Path(sys.argv[1]),
                sys.argv[2],
                int(sys.argv[3]),
                int(sys.argv[4]),
                float(sys.argv[5]),
                int(sys.argv[6]) if len(sys.argv) > 6 else 1,
            )
        )
    )
