"""What a batch is made of: examples, the pictures made of them, and what the model should say about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from vision_trainer.contracts import DatasetSample, SampleObject
from vision_trainer.dataset import DatasetReader
from vision_trainer.images import sample_image, sample_mask

from .geometry import View

# Decoded images are kept when all of a split fits into this much memory.
MEMORY_BUDGET_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn from or to judge: an image, or for poses one object of an image."""

    name: str
    image_width: int
    image_height: int
    sample: DatasetSample | None = None
    object: SampleObject | None = None


@dataclass(slots=True)
class Batch:
    """`images`: batch x height x width x 3, uint8. `targets`: tensors or lists with one entry an example."""

    images: Tensor
    targets: dict[str, Any]
    examples: list[Example]
    views: list[View]

    def __len__(self) -> int:
        return len(self.examples)

    def parts(self, count: int) -> list[Batch]:
        """At most `count` pieces of (nearly) the same size."""
        size = -(-len(self) // count)
        return [self._slice(slice(first, first + size)) for first in range(0, len(self), size)]

    def _slice(self, where: slice) -> Batch:
        targets = {name: values[where] for name, values in self.targets.items()}
        return Batch(self.images[where], targets, self.examples[where], self.views[where])

    def pinned(self) -> Batch:
        """The same in memory from which a GPU copies quickly."""
        targets = {name: v.pin_memory() if isinstance(v, Tensor) else v for name, v in self.targets.items()}
        return Batch(self.images.pin_memory(), targets, self.examples, self.views)


class ImageSource:
    """Decoded upright images and masks of a dataset; decoded once into memory where they all fit."""

    def __init__(self, reader: DatasetReader, samples: list[DatasetSample], budget: int = MEMORY_BUDGET_BYTES) -> None:
        self._reader = reader
        decoded_bytes = sum(sample.width * sample.height * 4 for sample in samples)
        self._keep = decoded_bytes <= budget
        self._images: dict[str, Image.Image] = {}
        self._masks: dict[str, Image.Image] = {}

    def image(self, example: Example) -> Image.Image:
        """RGB. Raises TrainerFailure(DATASET_INVALID) for bytes that are no image."""
        return self._once(self._images, example, lambda sample: sample_image(self._reader, sample))

    def mask(self, example: Example) -> Image.Image:
        """8-bit class indices. Raises DATASET_INVALID."""
        return self._once(
            self._masks,
            example,
            lambda sample: Image.fromarray(np.asarray(sample_mask(self._reader, sample), np.uint8)),
        )

    def _once(
        self, kept: dict[str, Image.Image], example: Example, decode: Callable[[DatasetSample], Image.Image]
    ) -> Image.Image:
        if example.sample is None:
            raise ValueError(f"{example.name} belongs to no dataset")
        image = kept.get(example.sample.id)
        if image is None:
            image = decode(example.sample)
            if self._keep:
                kept[example.sample.id] = image
        return image


def stack(pictures: list[Image.Image], targets: dict[str, Any], examples: list[Example], views: list[View]) -> Batch:
    """A batch of pictures of the same size."""
    images = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    return Batch(images, targets, examples, views)
