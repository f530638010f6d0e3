"""Draws a prediction on its image, for people; and says it in words. Needs Pillow, and numpy where there are masks."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .contracts import Object, Prediction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageDraw

# Small images are enlarged to this, so that the writing can be read, large ones made smaller.
_SHORTEST_SIDE = 240
_LONGEST_SIDE = 1280
_MASK_OPACITY = 0.45
_LOWEST_POINT_SCORE = 0.2
_MAX_DRAWN_OBJECTS = 100
_MAX_WORDS = 2000


def draw_prediction(
    image: Image.Image,
    prediction: Prediction,
    mask: NDArray[np.uint8] | None = None,
    skeleton: Sequence[Sequence[float]] = (),
) -> Image.Image:
    """A copy of the image (RGB) with boxes, masks, key points or a caption drawn in.

    `mask` are the class indices of a semantic segmentation, height x width; `skeleton` pairs of key points to join,
    counted from 0. Never changes `image`.
    """
    from PIL import Image, ImageDraw

    scale = _scale(image.width, image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    if mask is not None:
        canvas = _tinted(canvas, mask)
    objects = (prediction.objects or [])[:_MAX_DRAWN_OBJECTS]
    for entry in objects:
        if entry.rle is not None:
            canvas = _with_object_mask(canvas, entry)
    draw = ImageDraw.Draw(canvas)
    for entry in objects:
        _draw_object(draw, entry, scale, skeleton)
    words = prediction.caption
    if prediction.labels:
        words = describe_prediction(prediction)
    if words:
        _write(draw, (0, 0), words, (20, 20, 20), canvas.width)
    return canvas


def describe_prediction(prediction: Prediction) -> str:
    """The prediction in a line of text, at most 2000 characters."""
    if prediction.caption is not None:
        text = prediction.caption
    elif prediction.labels is not None:
        text = ", ".join(f"{label.name} {label.score:.2f}" for label in prediction.labels[:3])
    elif prediction.objects is not None:
        shown = ", ".join(f"{entry.name} {entry.score:.2f}" for entry in prediction.objects[:20])
        text = f"{len(prediction.objects)} objects: {shown}" if prediction.objects else "no objects"
    elif prediction.mask is not None:
        shares = sorted(prediction.mask.shares.items(), key=lambda item: -item[1])
        text = ", ".join(f"{name} {share:.0%}" for name, share in shares[:10])
    else:
        text = ""
    return text if len(text) <= _MAX_WORDS else text[: _MAX_WORDS - 1] + "…"


def class_colour(category: int) -> tuple[int, int, int]:
    """A colour of its own for each class; neighbours differ by the golden angle of hue."""
    red, green, blue = colorsys.hsv_to_rgb(category * 0.381966 % 1.0, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _scale(width: int, height: int) -> float:
    longest = max(width, height)
    if longest < _SHORTEST_SIDE:
        return _SHORTEST_SIDE / longest
    return min(1.0, _LONGEST_SIDE / longest)


def _tinted(canvas: Image.Image, mask: NDArray[np.uint8]) -> Image.Image:
    """Class 0 and what is ignored (255) stay as they are."""
    import numpy as np
    from PIL import Image

    sized = np.asarray(Image.fromarray(np.asarray(mask, np.uint8)).resize(canvas.size, Image.Resampling.NEAREST))
    palette = np.array([class_colour(category) for category in range(256)], np.float32)
    pixels = np.asarray(canvas, np.float32)
    mixed = pixels * (1 - _MASK_OPACITY) + palette[sized] * _MASK_OPACITY
    shown = ((sized > 0) & (sized < 255))[..., None]
    return Image.fromarray(np.where(shown, mixed, pixels).astype(np.uint8))


def _with_object_mask(canvas: Image.Image, entry: Object) -> Image.Image:
    import numpy as np
    from PIL import Image

    from .masks import rle_decode

    if entry.rle is None:
        return canvas
    shape = Image.fromarray(rle_decode(entry.rle).astype(np.uint8) * round(255 * _MASK_OPACITY))
    colour = Image.new("RGB", canvas.size, class_colour(entry.category))
    return Image.composite(colour, canvas, shape.resize(canvas.size, Image.Resampling.NEAREST))


def _draw_object(draw: ImageDraw.ImageDraw, entry: Object, scale: float, skeleton: Sequence[Sequence[float]]) -> None:
    colour = class_colour(entry.category)
    x, y, width, height = (value * scale for value in entry.box)
    draw.rectangle((x, y, x + max(0.0, width), y + max(0.0, height)), outline=colour, width=2)
    points = [
        (point.root[0] * scale, point.root[1] * scale) if point.root[2] >= _LOWEST_POINT_SCORE else None
        for point in entry.keypoints or ()
    ]
    for pair in skeleton:
        ends = [points[int(index)] if int(index) < len(points) else None for index in pair]
        if ends[0] and ends[1]:
            draw.line((*ends[0], *ends[1]), fill=colour, width=2)
    for point in points:
        if point:
            draw.ellipse((point[0] - 3, point[1] - 3, point[0] + 3, point[1] + 3), fill=colour, outline=(0, 0, 0))
    _write(draw, (x, max(0.0, y - 14)), f"{entry.name} {entry.score:.2f}", colour, None)


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ground: tuple[int, int, int], width: int | None
) -> None:
    """Writes on a strip of its own colour, over the whole width where one is given; lines are broken to fit it."""
    from PIL import ImageFont

    font: Any = ImageFont.load_default(size=12)
    lines = [text] if width is None else _broken(text, font, width)
    light = sum(ground) > 380
    for number, line in enumerate(lines):
        x, y = at[0], at[1] + 14 * number
        right = x + font.getlength(line) + 4 if width is None else float(width)
        draw.rectangle((x, y, right, y + 14), fill=ground)
        draw.text((x + 2, y), line, fill=(0, 0, 0) if light else (255, 255, 255), font=font)


def _broken(text: str, font: Any, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width - 4:
            lines[-1] += f" {word}"
        elif len(lines) < 4:
            lines.append(word)
    return lines
