"""What chance does to a training picture, drawn from the example's own generator alone."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from PIL import Image, ImageEnhance

from .geometry import View


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random crop (`scale`: share of the area kept; `ratio`: change of its proportions), mirror image, colours."""

    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip: float
    colour: float


PRESETS = {
    "none": Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, colour=0.0),
    "light": Augmentation(scale=(0.8, 1.0), ratio=(0.9, 1.1), flip=0.0, colour=0.1),
    "standard": Augmentation(scale=(0.4, 1.0), ratio=(3 / 4, 4 / 3), flip=0.0, colour=0.3),
}


def random_part(view: View, augmentation: Augmentation, rng: random.Random) -> View:
    """A random part of what the view shows, in the same input size, possibly mirrored.

    The change of proportions is drawn on a log scale, so that taller and wider are equally likely (Inception's crop).
    """
    left, top, right, bottom = view.part
    width, height = right - left, bottom - top
    share = math.sqrt(rng.uniform(*augmentation.scale))
    stretch = math.sqrt(math.exp(rng.uniform(math.log(augmentation.ratio[0]), math.log(augmentation.ratio[1]))))
    new_width, new_height = min(width, width * share * stretch), min(height, height * share / stretch)
    new_left = left + rng.uniform(0.0, width - new_width)
    new_top = top + rng.uniform(0.0, height - new_height)
    flip = rng.random() < augmentation.flip
    return replace(view, part=(new_left, new_top, new_left + new_width, new_top + new_height), flip=flip)


def moved_about(view: View, augmentation: Augmentation, rng: random.Random) -> View:
    """The same view, shifted and zoomed at random around its centre: for one object seen in its surroundings."""
    left, top, right, bottom = view.part
    width, height = right - left, bottom - top
    spread = 1.0 - augmentation.scale[0]
    zoom = math.exp(rng.uniform(-0.5, 0.5) * spread)
    centre_x = (left + right) / 2 + width * spread * rng.uniform(-0.15, 0.15)
    centre_y = (top + bottom) / 2 + height * spread * rng.uniform(-0.15, 0.15)
    width, height = width * zoom, height * zoom
    part = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
    return replace(view, part=part, flip=rng.random() < augmentation.flip)


def recoloured(picture: Image.Image, augmentation: Augmentation, rng: random.Random) -> Image.Image:
    """Brightness, contrast and saturation changed by at most `colour`."""
    if augmentation.colour:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            picture = change(picture).enhance(rng.uniform(1 - augmentation.colour, 1 + augmentation.colour))
    return picture
