"""From the bytes of an image file to a square uint8 picture, augmented or not."""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, UnidentifiedImageError
from vision_trainer.contracts import DatasetSample
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import FailureCode, TrainerFailure

# Height x width x 3, uint8.
Picture = np.ndarray[Any, np.dtype[np.uint8]]

# Decoded images are kept when all of a split fits into this much memory.
MEMORY_BUDGET_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What happens to a training image: random crop, mirror, colour. `scale` is the range of the crop's area."""

    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip: float
    colour: float


PRESETS = {
    "none": Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, colour=0.0),
    "light": Augmentation(scale=(0.8, 1.0), ratio=(0.9, 1.1), flip=0.0, colour=0.0),
    "standard": Augmentation(scale=(0.35, 1.0), ratio=(3 / 4, 4 / 3), flip=0.0, colour=0.3),
}


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
        """The decoded RGB image. Raises TrainerFailure(DATASET_INVALID) for bytes that are no image."""
        if self._kept is None:
            return self._decode(index)
        image = self._kept.get(index)
        if image is None:
            image = self._kept[index] = self._decode(index)
        return image

    def _decode(self, index: int) -> Image.Image:
        sample = self.samples[index]
        try:
            image = Image.open(io.BytesIO(self._reader.read(sample)))
            return image.convert("RGB")
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise TrainerFailure(
                FailureCode.DATASET_INVALID, f"{sample.member} cannot be decoded: {type(error).__name__}."
            ) from error


def training_picture(image: Image.Image, size: int, augmentation: Augmentation, rng: random.Random) -> Picture:
    """A random crop of the image, scaled to size x size, possibly mirrored and recoloured."""
    box = _random_crop(image.width, image.height, augmentation, rng)
    picture = image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if augmentation.flip and rng.random() < augmentation.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if augmentation.colour:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            picture = change(picture).enhance(rng.uniform(1 - augmentation.colour, 1 + augmentation.colour))
    return np.asarray(picture)


def evaluation_picture(image: Image.Image, size: int) -> Picture:
    """The largest centred square of the image, scaled to size x size."""
    side = min(image.width, image.height)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0))


def _random_crop(
    width: int, height: int, augmentation: Augmentation, rng: random.Random
) -> tuple[float, float, float, float]:
    """The box (left, top, right, bottom) of a crop, after Inception: area share and aspect ratio drawn at random.

    The aspect ratio is drawn on a log scale, so that tall and wide are equally likely.
    """
    area = width * height * rng.uniform(*augmentation.scale)
    ratio = math.exp(rng.uniform(math.log(augmentation.ratio[0]), math.log(augmentation.ratio[1])))
    crop_width, crop_height = math.sqrt(area * ratio), math.sqrt(area / ratio)
    # A crop that sticks out is made smaller, not squeezed: shapes keep their proportions.
    fit = min(1.0, width / crop_width, height / crop_height)
    crop_width, crop_height = crop_width * fit, crop_height * fit
    left = rng.uniform(0.0, width - crop_width)
    top = rng.uniform(0.0, height - crop_height)
    return left, top, left + crop_width, top + crop_height
