"""Points and boxes of an annotation, brought into the upright image: turned along with EXIF, clipped, judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .findings import Code
from .image_check import ImageFacts
from .labels import Labels

# Overshoots up to this many pixels are rounding and clipped without a word.
ROUNDING_PIXELS = 1.0
DECIMALS = 2
_LARGEST = 1e12
_NUMBER_TYPES = frozenset({int, float})

BoxXYWH = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """The image that coordinates belong to, in pixels.

    `orientation` is the EXIF orientation when the annotation was made on the stored pixels, `stored_width` and
    `stored_height` their size; 1 when it was made on the upright image, as nearly all are.
    """

    width: int
    height: int
    orientation: int = 1
    stored_width: int = 0
    stored_height: int = 0

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point of the annotation in the upright image."""
        width, height = self.stored_width, self.stored_height
        match self.orientation:
            case 5:
                return y, x
            case 6:
                return height - y, x
            case 7:
                return height - y, width - x
            case 8:
                return y, width - x
            case _:
                return x, y

    def box(self, box: BoxXYWH) -> BoxXYWH:
        """A box of the annotation in the upright image; its sides must not be negative."""
        x, y, width, height = box
        left, top = self.point(x, y)
        right, bottom = self.point(x + width, y + height)
        return min(left, right), min(top, bottom), abs(right - left), abs(bottom - top)


def frame_of(facts: ImageFacts, stated: tuple[int, int] | None, labels: Labels) -> Frame | None:
    """The frame for an annotation that states its image to be `stated` (width, height) pixels, None for nothing stated.

    Notes and returns None when the sizes contradict each other.
    """
    upright = facts.upright_size
    if stated is None or stated == upright:
        return Frame(*upright)
    if stated == (facts.width, facts.height):
        reason = "The annotation belongs to the pixels as stored; it was turned along with the EXIF orientation."
        labels.warning(Code.TURNED_WITH_EXIF, reason)
        return Frame(*upright, facts.orientation, facts.width, facts.height)
    reason = f"The annotation is for {stated[0]} x {stated[1]} pixels, the image has {upright[0]} x {upright[1]}."
    labels.bad(Code.IMAGE_SIZE_MISMATCH, reason)
    return None


def are_numbers(values: list[Any]) -> bool:
    """Whether all are numbers that can be a coordinate: no bool, not NaN, nothing endless."""
    if not values:
        return True
    if not _NUMBER_TYPES.issuperset(map(type, values)):
        return False
    # min() and max() pass over a NaN that does not come first; a sum never does.
    return min(values) > -_LARGEST and max(values) < _LARGEST and not math.isnan(sum(values))


def clipped_box(box: BoxXYWH, frame: Frame, where: str, labels: Labels) -> list[float] | None:
    """The part of a box inside of the upright image, rounded; None, noted, when it is unusable or empty."""
    if box[2] < 0 or box[3] < 0:
        labels.bad(Code.BOX_INVALID, f"{where}: the box has a negative side ({box[2]:g} x {box[3]:g}).")
        return None
    x, y, width, height = frame.box(box)
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(float(frame.width), x + width), min(float(frame.height), y + height)
    if right < left or bottom < top or ((right == left or bottom == top) and width and height):
        shown = f"[{x:g}, {y:g}, {width:g}, {height:g}]"
        reason = f"{where}: the box {shown} lies outside of the image ({frame.width} x {frame.height})."
        labels.bad(Code.BOX_OUTSIDE, reason)
        return None
    beyond = max(-x, -y, x + width - frame.width, y + height - frame.height)
    if beyond > ROUNDING_PIXELS:
        labels.warning(Code.BOX_CLIPPED, f"{where}: the box reaches {beyond:.1f} pixels outside and was clipped.")
    inside = [rounded(left), rounded(top), rounded(right - left), rounded(bottom - top)]
    if inside[2] <= 0 or inside[3] <= 0:
        labels.warning(Code.BOX_EMPTY, f"{where}: the box has no area; the object was left out.")
        return None
    return inside


def clipped_polygon(points: list[float], frame: Frame) -> tuple[list[float], float]:
    """A polygon (x1, y1, x2, …) with its points moved into the upright image, and the furthest that one was moved."""
    xs, ys = points[::2], points[1::2]
    if frame.orientation != 1:
        turned = [frame.point(x, y) for x, y in zip(xs, ys, strict=True)]
        xs, ys = [x for x, _ in turned], [y for _, y in turned]
    beyond = max(0.0, -min(xs), -min(ys), max(xs) - frame.width, max(ys) - frame.height)
    if beyond:
        xs = [min(max(x, 0.0), frame.width) for x in xs]
        ys = [min(max(y, 0.0), frame.height) for y in ys]
    inside = [0.0] * len(points)
    # `rounded`, written out: a dataset has hundreds of millions of these.
    inside[::2] = [round(x, DECIMALS) + 0.0 for x in xs]
    inside[1::2] = [round(y, DECIMALS) + 0.0 for y in ys]
    return inside, beyond


def box_around(polygons: list[list[float]]) -> BoxXYWH:
    """The smallest box around all points."""
    xs = [value for points in polygons for value in points[::2]]
    ys = [value for points in polygons for value in points[1::2]]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def rounded(value: float) -> float:
    """Hundredths of a pixel: no annotation is better, and every platform writes the same text. Never -0.0."""
    return round(value, DECIMALS) + 0.0
