"""From the bytes of an image file to a square uint8 picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from vision_trainer.contracts import DatasetSample
from vision_trainer.dataset import DatasetReader
from vision_trainer.images import sample_image

# Height x width x 3, uint8.
Picture = np.ndarray[Any, np.dtype[np.uint8]]

# Decoded images are kept when all of a split fits into this much memory.
MEMORY_BUDGET_BYTES = 512 * 1024 * 1024


class ImageSource:
    """The images of one split; decoded once into memory where they fit."""

    def __init__(self, reader: DatasetReader, samples: list[DatasetSample], budget: int = MEMORY_BUDGET_BYTES) -> None:
        self._reader = reader
        self.samples = samples
        decoded_bytes = sum(sample.width * sample.height * 3 for sample in samples)
        self._kept: dict[int, Image.Image] | None = {} if decoded_bytes <= budget else None

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> Image.Image:
        """The decoded upright RGB image. Raises TrainerFailure(DATASET_INVALID) for bytes that are no image."""
        if self._kept is None:
            return sample_image(self._reader, self.samples[index])
        image = self._kept.get(index)
        if image is None:
            image = self._kept[index] = sample_image(self._reader, self.samples[index])
        return image


def evaluation_picture(image: Image.Image, size: int) -> Picture:
    """The largest centred square of the image, scaled to size x size."""
    side = min(image.width, image.height)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0))
