"""What happens to a training image. Everything random comes from the generator that is handed in."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from .images import Picture
from .settings import TimmSettings

_RANDAUGMENT_LAYERS = 2
_RANDAUGMENT_LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random crop (`scale`: range of its area, `ratio`: of its shape), mirror, colour, RandAugment, mixing of pairs."""

    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip: float = 0.0
    colour: float = 0.0
    randaugment: bool = False
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0


PRESETS = {
    "none": Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0)),
    "light": Augmentation(scale=(0.8, 1.0), ratio=(0.9, 1.1)),
    "standard": Augmentation(scale=(0.35, 1.0), ratio=(3 / 4, 4 / 3), colour=0.3),
    "randaugment": Augmentation(scale=(0.8, 1.0), ratio=(0.9, 1.1), randaugment=True),
    "strong": Augmentation(
        scale=(0.35, 1.0), ratio=(3 / 4, 4 / 3), colour=0.3, randaugment=True, mixup_alpha=0.2, cutmix_alpha=1.0
    ),
}


def augmentation_of(settings: TimmSettings) -> Augmentation:
    """The preset with the user's own values put in."""
    preset = PRESETS[settings.augmentation]
    return Augmentation(
        scale=(preset.scale[0] if settings.crop_scale_min is None else settings.crop_scale_min, preset.scale[1]),
        ratio=preset.ratio,
        flip=settings.horizontal_flip,
        colour=preset.colour,
        randaugment=preset.randaugment,
        mixup_alpha=preset.mixup_alpha if settings.mixup_alpha is None else settings.mixup_alpha,
        cutmix_alpha=preset.cutmix_alpha if settings.cutmix_alpha is None else settings.cutmix_alpha,
    )


def training_picture(image: Image.Image, size: int, augmentation: Augmentation, rng: random.Random) -> Picture:
    """A random crop of the image, scaled to size x size, possibly mirrored, recoloured and distorted."""
    box = _random_crop(image.width, image.height, augmentation, rng)
    picture = image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if augmentation.flip and rng.random() < augmentation.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if augmentation.colour:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            picture = change(picture).enhance(rng.uniform(1 - augmentation.colour, 1 + augmentation.colour))
    if augmentation.randaugment:
        picture = _randaugment(picture, rng)
    return np.asarray(picture)


def mix_pairs(pictures: Picture, augmentation: Augmentation, rng: random.Random) -> tuple[Picture, float]:
    """Mixes each picture with its partner, the one as far from the other end of the batch.

    Returns (batch x height x width x 3, the share of 1 that is still the picture's own). Mixup: Zhang et al. 2018;
    CutMix: Yun et al. 2019, with the share counted from the pixels of the box after it is cut at the border.
    """
    mixup, cutmix = augmentation.mixup_alpha, augmentation.cutmix_alpha
    if not mixup and not cutmix:
        return pictures, 1.0
    if cutmix and (not mixup or rng.random() < 0.5):
        return _paste_pairs(pictures, rng.betavariate(cutmix, cutmix), rng)
    share = rng.betavariate(mixup, mixup)
    blended = pictures * np.float32(share) + pictures[::-1] * np.float32(1.0 - share)
    return np.rint(blended).astype(np.uint8), share


def _paste_pairs(pictures: Picture, share: float, rng: random.Random) -> tuple[Picture, float]:
    height, width = pictures.shape[1:3]
    side = math.sqrt(1.0 - share)
    middle_y, middle_x = rng.randrange(height), rng.randrange(width)
    half_y, half_x = int(height * side) // 2, int(width * side) // 2
    top, bottom = max(0, middle_y - half_y), min(height, middle_y + half_y)
    left, right = max(0, middle_x - half_x), min(width, middle_x + half_x)
    mixed = pictures.copy()
    mixed[:, top:bottom, left:right] = pictures[::-1, top:bottom, left:right]
    return mixed, 1.0 - (bottom - top) * (right - left) / (height * width)


def _randaugment(picture: Image.Image, rng: random.Random) -> Image.Image:
    """RandAugment (Cubuk et al. 2020) with timm's operations, each applied with probability one half as in timm.

    timm's own class draws from the process's global generators, which threads share; hence this one.
    """
    operations = _operations()
    for name in rng.sample(sorted(_STRENGTHS), _RANDAUGMENT_LAYERS):
        if rng.random() < 0.5:
            continue
        least, most, signed = _STRENGTHS[name]
        amount = least + (most - least) * _RANDAUGMENT_LEVEL
        if signed and rng.random() < 0.5:
            amount = -amount
        # timm's enhancing operations take a factor around 1, its bit and threshold operations whole numbers.
        argument = 1.0 + amount if name in _FACTORS else int(amount) if name in _WHOLE else amount
        arguments = () if name in _PLAIN else (argument,)
        picture = operations[name](picture, *arguments, fillcolor=(128, 128, 128), resample=Image.Resampling.BILINEAR)
    return picture


# Per operation: its argument at no and at full strength, and whether its sign is drawn (timm's "increasing" set).
_STRENGTHS: dict[str, tuple[float, float, bool]] = {
    "AutoContrast": (0, 0, False),
    "Equalize": (0, 0, False),
    "Rotate": (0, 30, True),
    "PosterizeIncreasing": (4, 1, False),
    "SolarizeIncreasing": (256, 0, False),
    "SolarizeAdd": (0, 110, False),
    "Color": (0, 0.9, True),
    "Contrast": (0, 0.9, True),
    "Brightness": (0, 0.9, True),
    "Sharpness": (0, 0.9, True),
    "ShearX": (0, 0.3, True),
    "ShearY": (0, 0.3, True),
    "TranslateXRel": (0, 0.45, True),
    "TranslateYRel": (0, 0.45, True),
}
_PLAIN = frozenset({"AutoContrast", "Equalize"})
_FACTORS = frozenset({"Color", "Contrast", "Brightness", "Sharpness"})
_WHOLE = frozenset({"PosterizeIncreasing", "SolarizeIncreasing", "SolarizeAdd"})


@cache
def _operations() -> dict[str, Any]:
    from timm.data.auto_augment import NAME_TO_OP

    operations: dict[str, Any] = NAME_TO_OP
    return operations


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
    # The roundings of `fit` may leave it larger than the image by a hair, which Pillow refuses.
    crop_width, crop_height = min(width, crop_width * fit), min(height, crop_height * fit)
    left = rng.uniform(0.0, width - crop_width)
    top = rng.uniform(0.0, height - crop_height)
    return left, top, min(width, left + crop_width), min(height, top + crop_height)
