"""Decodes a mask of any usual kind and writes the canonical one: an 8-bit PNG of class indices, 255 ignored."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .findings import Code
from .image_check import BadImage, ImageFacts, large_image_turn, open_image
from .labels import Labels
from .limits import Limits
from .mask_classes import Colour, MaskClasses
from .run_length import turned_image

IGNORED = 255
_COMPRESSION = 6
_BAND_PIXELS = 1_000_000


def canonical_mask(data: bytes, facts: ImageFacts, classes: MaskClasses, limits: Limits, labels: Labels) -> None:
    """Fills `mask`, `mask_pixels` and `categories` of `labels`, or notes why the mask is unusable."""
    try:
        with open_image(data, limits) as (image, kind):
            decoded = image.copy()
    except BadImage as bad:
        labels.bad(Code.MASK_CORRUPT, f"The mask cannot be used: {bad.reason}")
        return
    if kind == "JPEG":
        reason = "The mask is a JPEG, whose compression invents values at every edge; save masks as PNG."
        labels.bad(Code.MASK_CORRUPT, reason)
        return
    with large_image_turn(decoded.width * decoded.height):
        _fill(decoded, facts, classes, labels)


def _fill(decoded: Image.Image, facts: ImageFacts, classes: MaskClasses, labels: Labels) -> None:
    upright = _upright(decoded, facts, labels)
    if upright is None:
        return
    indices = _indices(upright, classes, labels)
    if indices is None:
        return
    canonical = Image.fromarray(indices)
    counts = canonical.histogram()
    shown = [value for value, count in enumerate(counts) if count and value != IGNORED]
    if not shown:
        reason = "Every pixel of the mask is 255 (ignored); a mask holds class indices 0, 1, 2 and so on."
        labels.bad(Code.MASK_EMPTY, reason)
        return
    if classes.names and shown[-1] >= len(classes.names):
        reason = (
            f"The mask has the value {shown[-1]}; the {len(classes.names)} classes are 0 to {len(classes.names) - 1}."
        )
        labels.bad(Code.MASK_VALUE_UNKNOWN, reason)
        return
    buffer = io.BytesIO()
    canonical.save(buffer, "PNG", compress_level=_COMPRESSION)
    labels.mask, labels.mask_pixels, labels.categories = buffer.getvalue(), counts, shown


def _upright(mask: Image.Image, facts: ImageFacts, labels: Labels) -> Image.Image | None:
    if mask.size == facts.upright_size:
        return mask
    if mask.size == (facts.width, facts.height):
        reason = "The mask belongs to the pixels as stored; it was turned along with the EXIF orientation."
        labels.warning(Code.TURNED_WITH_EXIF, reason)
        return turned_image(mask, facts.orientation)
    width, height = facts.upright_size
    reason = f"The mask has {mask.width} x {mask.height} pixels, the image has {width} x {height}."
    labels.bad(Code.MASK_SIZE_MISMATCH, reason)
    return None


def _indices(mask: Image.Image, classes: MaskClasses, labels: Labels) -> NDArray[np.uint8] | None:
    """Height x width of class indices. By colour where the table has all colours of the mask, else by value."""
    by_colour = _by_colour(np.asarray(mask.convert("RGB")), classes.colours) if classes.colours else None
    if by_colour is not None and not isinstance(by_colour, tuple):
        return by_colour
    if mask.mode in ("L", "P"):
        return np.asarray(mask, np.uint8)
    if mask.mode == "1":
        return np.asarray(mask).astype(np.uint8)
    if mask.mode.startswith(("I", "F")):
        values = np.asarray(mask)
        if values.min() < 0 or values.max() > IGNORED or (values != values.astype(np.uint8)).any():
            labels.bad(Code.MASK_VALUE_UNKNOWN, f"The mask has the value {values.max():g}; 255 is the largest.")
            return None
        return values.astype(np.uint8)
    pixels = np.asarray(mask.convert("RGB"))
    if not classes.colours and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        return np.ascontiguousarray(pixels[..., 0])
    if isinstance(by_colour, tuple):
        reason = f"The mask has the colour {by_colour}, which {classes.file} does not name."
    else:
        reason = "The mask is coloured; a classes.json or labelmap.txt must say which colour is which class."
    labels.bad(Code.MASK_COLOUR_UNKNOWN, reason)
    return None


def _by_colour(pixels: NDArray[np.uint8], colours: dict[Colour, int]) -> NDArray[np.uint8] | Colour:
    """Indices, or the first colour that the table lacks. In bands, because it takes 20 bytes a pixel."""
    order = sorted(colours)
    known = np.array([red << 16 | green << 8 | blue for red, green, blue in order], np.uint32)
    values = np.array([colours[colour] for colour in order], np.uint8)
    indices = np.empty(pixels.shape[:2], np.uint8)
    rows = max(1, _BAND_PIXELS // pixels.shape[1])
    for top in range(0, pixels.shape[0], rows):
        band = pixels[top : top + rows]
        codes = (band[..., 0].astype(np.uint32) << 16) | (band[..., 1].astype(np.uint32) << 8) | band[..., 2]
        place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        unknown = np.argwhere(known[place] != codes)
        if len(unknown):
            red, green, blue = (int(part) for part in band[tuple(unknown[0])])
            return red, green, blue
        indices[top : top + rows] = values[place]
    return indices
