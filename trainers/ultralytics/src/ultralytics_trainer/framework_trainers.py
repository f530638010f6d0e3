# SPDX-License-Identifier: AGPL-3.0-only
"""The framework's trainers with our dataset, our loader and our network; the loop itself is in train.py.

Theirs stay in charge of the parts that make YOLO what it is: datasets and augmentation, losses, optimizer groups,
freezing, class weights, the averaged weights, validation.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from ultralytics.data import build_dataloader
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.utils.patches import override_configs

from .class_weights import WeightedLabelLoss, weights_of_labels
from .loader import EpochLoader, SeededDataset
from .yolo_data import YoloData


@dataclass(frozen=True, slots=True)
class Setup:
    """What our side brings to a trainer. `build` makes the network with its first weights."""

    data: YoloData
    build: Callable[[], nn.Module]
    seed: int
    accumulation: int
    workers: int
    rank: int = 0
    ranks: int = 1


class _PlatformParts:
    """What all four have in common. `prepare` stands in for `train`: everything before the first step."""

    setup: Setup

    def __init__(self, setup: Setup, overrides: dict[str, Any]) -> None:
        self.setup = setup
        super().__init__(overrides=overrides)  # type: ignore[call-arg]

    def prepare(self) -> None:
        """Network, optimizer, loaders, validator and averaged weights, ready for the loop."""
        self._setup_train()  # type: ignore[attr-defined]

    def get_dataset(self) -> dict[str, Any]:
        """Our own description of the dataset; theirs would follow what a yaml file says, downloads included."""
        return dict(self.setup.data.description)

    def setup_model(self) -> None:
        """The network of the job; there is never a checkpoint of theirs."""
        self.model = self.setup.build()

    def _build_train_pipeline(self: Any) -> None:
        # With the nominal batch equal to ours, the framework scales neither weight decay nor accumulation.
        self.args.nbs = self.batch_size * self.setup.accumulation
        super()._build_train_pipeline()  # type: ignore[misc]

    def build_optimizer(self: Any, *arguments: Any, **named: Any) -> torch.optim.Optimizer:
        """The framework's. It asks for the kernel that takes all weights at once on a GPU alone; a CPU has it, too."""
        optimizer: torch.optim.Optimizer = super().build_optimizer(*arguments, **named)  # type: ignore[misc]
        if self.device.type == "cpu":
            for group in optimizer.param_groups:
                if "fused" in group:
                    group["fused"] = True
        return optimizer

    def get_dataloader(self: Any, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Ours for training, the framework's for validation (in this process: it is not worth the workers)."""
        if mode != "train":
            # Rank 0 validates alone, with the memory of one process; the others never ask for these images.
            batch_size = max(1, batch_size // self.setup.ranks)
            with override_configs(self.args, {} if self.setup.rank == 0 else {"cache": False}) as self.args:
                dataset = self.build_dataset(dataset_path, mode, batch_size)
            self.setup.data.require_all(dataset, "validation")
            # The framework's own loader for classification would shuffle.
            return build_dataloader(dataset, batch_size, 0, shuffle=False, rank=-1, device=self.device)
        inner = self.build_dataset(dataset_path, "train", batch_size)
        self.setup.data.require_all(inner, "training")
        mosaic_epochs = self.epochs - self.args.close_mosaic if self.args.close_mosaic else self.epochs
        on_gpu = self.device.type == "cuda"
        return EpochLoader(
            SeededDataset(inner, self.setup.seed, mosaic_epochs, self._without_mosaic),
            batch_size // self.setup.ranks,
            self.setup.seed,
            rank=self.setup.rank,
            ranks=self.setup.ranks,
            workers=self.setup.workers if on_gpu else 0,
            pin=on_gpu,
            # At the network's last stage an image below 64 pixels is a single value a channel.
            smallest=2 if self.args.imgsz < 2 * self.stride and self.args.task != "classify" else 1,
        )

    def auto_batch(self: Any, *arguments: Any, **named: Any) -> int:
        """What fits into one GPU, for all processes together."""
        total: int = super().auto_batch(*arguments, **named) * self.setup.ranks  # type: ignore[misc]
        return total

    def _without_mosaic(self: Any, dataset: Any) -> None:
        if hasattr(dataset, "close_mosaic"):
            dataset.close_mosaic(hyp=copy(self.args))


class PlatformDetection(_PlatformParts, DetectionTrainer):
    """object_detection"""


class PlatformSegmentation(_PlatformParts, SegmentationTrainer):
    """instance_segmentation"""


class PlatformPose(_PlatformParts, PoseTrainer):
    """pose_estimation"""


class PlatformClassification(_PlatformParts, ClassificationTrainer):
    """image_classification"""

    def prepare(self: Any) -> None:
        """As the others; class weights are ours, and for the training loss alone."""
        super().prepare()
        power = self.args.cls_pw
        if power > 0:
            labels = [sample.label or 0 for sample in self.setup.data.train]
            weights = weights_of_labels(labels, self.data["nc"], power)
            # After the averaged weights were set up, so that val/loss stays comparable.
            self.model.criterion = WeightedLabelLoss(weights.to(self.device))

    def set_class_weights(self) -> None:
        """Nothing: the framework counts boxes here."""


TRAINERS = {
    "object_detection": PlatformDetection,
    "instance_segmentation": PlatformSegmentation,
    "pose_estimation": PlatformPose,
    "image_classification": PlatformClassification,
}
