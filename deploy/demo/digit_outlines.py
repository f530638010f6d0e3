"""From the ink of a digit to what annotators would have drawn: its silhouette, outlines along pixel edges, run lengths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Corner = tuple[int, int]


def silhouette(ink: Mask) -> Mask:
    """The ink with its holes filled: everything that cannot be reached from the border past the ink, 4-connected."""
    outside = np.zeros((ink.shape[0] + 2, ink.shape[1] + 2), np.bool_)
    free = np.pad(~ink, 1, constant_values=True)
    outside[0, 0] = True
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= free
        if (grown == outside).all():
            return ~outside[1:-1, 1:-1]
        outside = grown


def outlines_of(mask: Mask) -> list[list[float]]:
    """The outer outlines as [x1, y1, x2, y2, …] along pixel edges, one a piece; filled again they give `mask` exactly.

    Expects a mask without holes.
    """
    next_corner = _edges(mask)
    loops = []
    while next_corner:
        start = min(next_corner)
        loop, corner, came = [start], start, (0, 0)
        while True:
            ways = next_corner[corner]
            # Where two pieces touch by a corner, turn right, so that each keeps its own outline.
            way = ways[0] if len(ways) == 1 else max(ways, key=lambda way: _turn(came, corner, way))
            ways.remove(way)
            if not ways:
                del next_corner[corner]
            came = (way[0] - corner[0], way[1] - corner[1])
            corner = way
            if corner == start:
                break
            loop.append(corner)
        loops.append([float(value) for x, y in _without_straight(loop) for value in (x, y)])
    return loops


def run_lengths(mask: Mask) -> str:
    """COCO's compressed run lengths: column by column, background first, differences to the last but one, 5 bits a sign.

    The format is that of `rleToString` in cocoapi's maskApi.c.
    """
    flat = mask.flatten(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = [0, *changes.tolist(), flat.size]
    runs = [end - start for start, end in pairwise(bounds)]
    counts = [0, *runs] if flat.size and flat[0] else runs
    text = []
    for position, count in enumerate(counts):
        value = count - (counts[position - 2] if position > 2 else 0)
        more = True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append(chr(48 + (bits | (0x20 if more else 0))))
    return "".join(text)


def _edges(mask: Mask) -> dict[Corner, list[Corner]]:
    """The pixel edges between ink and no ink, with the ink to the right of the way one goes."""
    padded = np.pad(mask, 1)
    edges: dict[Corner, list[Corner]] = {}
    for y, x in zip(*np.nonzero(mask), strict=True):
        row, column = int(y), int(x)
        sides = (
            (padded[row, column + 1], (column, row), (column + 1, row)),
            (padded[row + 1, column + 2], (column + 1, row), (column + 1, row + 1)),
            (padded[row + 2, column + 1], (column + 1, row + 1), (column, row + 1)),
            (padded[row + 1, column], (column, row + 1), (column, row)),
        )
        for inked, start, end in sides:
            if not inked:
                edges.setdefault(start, []).append(end)
    return edges


def _turn(came: Corner, corner: Corner, way: Corner) -> int:
    """Above 0 for a turn to the right (y grows downwards)."""
    return came[0] * (way[1] - corner[1]) - came[1] * (way[0] - corner[0])


def _without_straight(loop: list[Corner]) -> list[Corner]:
    """The corners at which the way turns."""
    kept = []
    for position, (x, y) in enumerate(loop):
        before, after = loop[position - 1], loop[(position + 1) % len(loop)]
        if (x - before[0]) * (after[1] - y) != (y - before[1]) * (after[0] - x):
            kept.append((x, y))
    return kept
