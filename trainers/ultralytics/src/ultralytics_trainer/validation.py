# SPDX-License-Identifier: AGPL-3.0-only
"""A validation outside of a training, with the same validator, batches and precision as inside."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ultralytics.data import build_yolo_dataset

from .framework_trainers import TRAINERS, Setup
from .presets import common_arguments
from .resuming import VALIDATION_ARGUMENTS
from .trained_model import TrainedModel
from .yolo_data import YoloData


def prepare_validation(trained: TrainedModel, data: YoloData, save_dir: Path, *, square: bool = False) -> Any:
    """A trainer of the framework with everything its validator asks of it, and no training data.

    `square`: one image at a time, always of the same size; for models that take nothing else.
    """
    told = {name: trained.about[name] for name in VALIDATION_ARGUMENTS if name in trained.about}
    arguments = common_arguments(
        trained.model,
        size=trained.size,
        batch_size=int(told.pop("batch", 16)),
        device=trained.device,
        save_dir=save_dir,
    )
    arguments |= {**told, "mode": "train", "epochs": 1, "pretrained": False}
    setup = Setup(data, lambda: trained.network, seed=0, accumulation=1, workers=0)
    trainer: Any = TRAINERS[trained.model.task](setup, arguments)
    trainer.setup_model()
    trainer.model.to(trainer.device)
    trainer.set_model_attributes()
    trainer.model.names = dict(enumerate(trained.classes))
    trainer.stride = 32
    trainer.amp = bool(trainer.args.amp) and trainer.device.type == "cuda"
    if square:
        trainer.batch_size = 0.5
        trainer.build_dataset = partial(_square_dataset, trainer)
    trainer.test_loader = trainer.get_dataloader(data.description["val"], int(trainer.batch_size * 2), mode="val")
    trainer.validator = trainer.get_validator()
    trainer.ema = SimpleNamespace(ema=trainer.model)
    trainer.stopper = SimpleNamespace(possible_stop=False)
    trainer.epoch = 0
    return trainer


def _square_dataset(trainer: Any, path: str, mode: str = "val", batch: int = 1) -> Any:
    """The framework's validation set without its narrow batches."""
    if trainer.args.task == "classify":
        return type(trainer).build_dataset(trainer, path, mode, batch)
    return build_yolo_dataset(trainer.args, path, batch, trainer.data, mode="val", rect=False, stride=trainer.stride)
