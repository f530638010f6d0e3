"""From a mask to polygons along pixel edges. Filled again (even-odd), they give exactly the same mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Corner = tuple[int, int]
Ring = list[tuple[float, float]]


def mask_to_polygons(mask: NDArray[np.bool_]) -> list[list[float]]:
    """One polygon [x1, y1, x2, y2, …] for each piece of a mask (height x width).

    A hole is cut into its piece's ring by a bridge of no width, because a polygon knows no holes.
    """
    rings = _rings(mask)
    outer = [ring for ring in rings if _doubled_area(ring) > 0]
    merged = {id(ring): ring for ring in outer}
    for hole in (ring for ring in rings if _doubled_area(ring) < 0):
        # The smallest piece around it; one that lies in the hole, an island, is smaller than the hole.
        larger = (ring for ring in outer if _doubled_area(ring) > -_doubled_area(hole))
        around = min((ring for ring in larger if _encloses(ring, hole[0])), key=_doubled_area)
        merged[id(around)] = _bridged(merged[id(around)], hole)
    return [_flat(ring) for ring in merged.values()]


def join_polygons(polygons: Sequence[Sequence[float]]) -> list[float]:
    """All pieces as one ring with bridges of no width, for formats with one polygon an object (YOLO)."""
    rings = [_points(polygon) for polygon in polygons]
    joined = rings[0]
    for ring in rings[1:]:
        joined = _bridged(joined, ring)
    return _flat(joined)


def _rings(mask: NDArray[np.bool_]) -> list[Ring]:
    """Every closed way along pixel edges with the mask on its right: pieces clockwise, holes against the clock."""
    next_corners = _edges(mask)
    rings = []
    while next_corners:
        start = next(iter(next_corners))
        ring, corner, came = [start], start, (0, 0)
        while True:
            ways = next_corners[corner]
            # Where two pieces touch by a corner, turn right, so that each keeps its own ring.
            way = ways[0] if len(ways) == 1 else max(ways, key=lambda to: _turn(came, corner, to))
            ways.remove(way)
            if not ways:
                del next_corners[corner]
            came, corner = (way[0] - corner[0], way[1] - corner[1]), way
            if corner == start:
                break
            ring.append(corner)
        rings.append(_without_straight(ring))
    return rings


def _edges(mask: NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """Each pixel edge between mask and no mask as a step from corner to corner, the mask on its right."""
    import numpy as np

    filled = np.asarray(mask, np.bool_)
    lines, posts = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    if not lines.size:
        return {}
    # Only the rectangle that holds the mask is looked at: images are large, objects are small.
    top, left = int(lines[0]), int(posts[0])
    padded = np.pad(filled[top : lines[-1] + 1, left : posts[-1] + 1], 1)
    inner = padded[1:-1, 1:-1]
    edges: dict[Corner, list[Corner]] = {}
    # (what lies beyond the side, where the step begins and ends, seen from the pixel's top left corner)
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    for beyond, begin, end in sides:
        rows, columns = np.nonzero(inner & ~beyond)
        for y, x in zip((rows + top).tolist(), (columns + left).tolist(), strict=True):
            edges.setdefault((x + begin[0], y + begin[1]), []).append((x + end[0], y + end[1]))
    return edges


def _turn(came: Corner, corner: Corner, way: Corner) -> int:
    """Above 0 for a turn to the right (y grows downwards)."""
    return came[0] * (way[1] - corner[1]) - came[1] * (way[0] - corner[0])


def _without_straight(ring: list[Corner]) -> Ring:
    """The corners at which the way turns."""
    kept: Ring = []
    for position, (x, y) in enumerate(ring):
        before, after = ring[position - 1], ring[(position + 1) % len(ring)]
        if (x - before[0]) * (after[1] - y) != (y - before[1]) * (after[0] - x):
            kept.append((x, y))
    return kept


def _doubled_area(ring: Ring) -> float:
    """Twice the area (shoelace formula): above 0 for a piece, below 0 for a hole."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True))


def _encloses(ring: Ring, corner: tuple[float, float]) -> bool:
    """Whether the pixel to the lower right of a hole's corner lies in the ring: a ray to the left is cut oddly."""
    x, y = corner[0] + 0.5, corner[1] + 0.5
    cuts = 0
    for (x1, y1), (_, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if x1 < x and min(y1, y2) < y < max(y1, y2):
            cuts += 1
    return cuts % 2 == 1


def _bridged(ring: Ring, other: Ring) -> Ring:
    """One ring that walks along `ring`, by the shortest way over to `other`, once around it and back again."""
    import numpy as np

    ours, theirs = np.asarray(ring), np.asarray(other)
    distances = ((ours[:, None, :] - theirs[None, :, :]) ** 2).sum(axis=2)
    leave, enter = divmod(int(distances.argmin()), len(other))
    return [*ring[: leave + 1], *other[enter:], *other[: enter + 1], *ring[leave:]]


def _points(polygon: Sequence[float]) -> Ring:
    return list(zip(polygon[::2], polygon[1::2], strict=True))


def _flat(ring: Ring) -> list[float]:
    return [float(value) for point in ring for value in point]
