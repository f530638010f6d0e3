"""Masks of objects: COCO's run lengths, polygons, and the way between them. numpy only.

A polygon's coordinates count pixel edges, so the square of the top left pixel is 0, 0, 1, 0, 1, 1, 0, 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .contracts import Object, RunLengthMask, SampleObject
from .failures import FailureCode, TrainerFailure
from .mask_outlines import mask_to_polygons

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["mask_to_polygons", "object_mask", "polygons_to_mask", "rle_decode", "rle_encode"]

_MORE = 0x20
_SIGN = 0x10
_LARGEST_PIXELS = 1 << 28


def rle_encode(mask: NDArray[np.bool_]) -> RunLengthMask:
    """COCO's compressed run lengths of a mask (height x width): by columns, background first.

    Each count is written as the difference to the last but one, five bits a character from "0" on, lowest first
    (rleToString in cocoapi's maskApi.c).
    """
    import numpy as np

    flat = np.asarray(mask, dtype=np.bool_).flatten(order="F")
    bounds = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    counts: list[int] = np.diff(bounds).tolist()
    if flat.size and flat[0]:
        counts.insert(0, 0)
    characters = []
    for position, count in enumerate(counts):
        value = count - (counts[position - 2] if position > 2 else 0)
        more = True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & _SIGN else 0)
            characters.append(chr(48 + (bits | (_MORE if more else 0))))
    return RunLengthMask(size=(mask.shape[0], mask.shape[1]), counts="".join(characters))


def rle_decode(rle: RunLengthMask) -> NDArray[np.bool_]:
    """The mask, height x width. Raises ValueError for run lengths that are damaged or do not fill the size."""
    import numpy as np

    height, width = (int(side) for side in rle.size)
    if height < 1 or width < 1 or height * width > _LARGEST_PIXELS:
        raise ValueError(f"a mask of {rle.size[0]} x {rle.size[1]} pixels")
    counts = np.array(_counts(rle.counts), dtype=np.int64)
    if (counts < 0).any() or int(counts.sum()) != height * width:
        raise ValueError("the run lengths do not fill the mask")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape((height, width), order="F")


def polygons_to_mask(polygons: list[list[float]], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels whose centre lies inside any of the polygons [x1, y1, x2, y2, …], even-odd within each."""
    import numpy as np

    mask = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        # Only the polygon's own rectangle is looked at: images are large, objects are small.
        left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int)
        if left < right and top < bottom:
            mask[top:bottom, left:right] |= _filled(points - (left, top), bottom - top, right - left)
    return mask


def _filled(points: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of a rectangle at 0, 0 whose centre lies inside the polygon, even-odd."""
    import numpy as np

    # Marks where a line of pixels goes in or out; each pixel is inside after an odd number of marks on its left.
    marks = np.zeros((height, width + 1), np.uint8)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        low, high = min(y1, y2), max(y1, y2)
        rows = np.arange(max(0, int(np.ceil(low - 0.5))), min(height, int(np.ceil(high - 0.5))))
        crossings = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
        columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
        # An edge crosses a line of pixels once, so no place is named twice.
        marks[rows, columns] ^= 1
    inside: NDArray[np.bool_] = np.bitwise_xor.accumulate(marks, axis=1)[:, :width].astype(np.bool_)
    return inside


def object_mask(entry: SampleObject | Object, height: int, width: int) -> NDArray[np.bool_]:
    """The object's mask, height x width, from its run lengths, its polygons, or its box where it has neither.

    Raises DATASET_INVALID for run lengths that are damaged or made for another size.
    """
    import numpy as np

    if entry.rle is not None:
        if tuple(entry.rle.size) != (height, width):
            raise _invalid(f"a mask of {list(entry.rle.size)} in an image of {[height, width]} (height, width)")
        try:
            return rle_decode(entry.rle)
        except ValueError as error:
            raise _invalid(f"a mask that cannot be read: {error}") from error
    polygons = entry.polygons if isinstance(entry, SampleObject) else None
    if polygons:
        return polygons_to_mask(polygons, height, width)
    x, y, box_width, box_height = entry.box
    mask = np.zeros((height, width), np.bool_)
    mask[max(0, round(y)) : max(0, round(y + box_height)), max(0, round(x)) : max(0, round(x + box_width))] = True
    return mask


def _counts(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("the run lengths hold a character that is none of theirs")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the run lengths end in the middle of a number")
    return counts


def _invalid(reason: str) -> TrainerFailure:
    return TrainerFailure(FailureCode.DATASET_INVALID, f"The dataset holds {reason}.")
