"""One annotated object, from the words of any format into those of `SampleObject`, with all that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .findings import Code
from .formats import INSTANCES, POSE
from .geometry import (
    ROUNDING_PIXELS,
    BoxXYWH,
    Frame,
    are_numbers,
    box_around,
    clipped_box,
    clipped_polygon,
    rounded,
)
from .labels import Labels
from .limits import Limits
from .run_length import bounds, check_runs, runs_from_text, text_from_runs, turned


@dataclass(slots=True)
class RawObject:
    """An object as a format tells it, in pixels of the annotation's own frame; numbers may still be anything.

    `where` names it for people. `rle` is (height, width, runs as a list or COCO's text); `keypoints` x, y, visibility.
    """

    where: str
    category: int
    box: BoxXYWH | None = None
    polygons: list[list[float]] | None = None
    rle: tuple[Any, Any, list[int] | str] | None = None
    keypoints: list[tuple[float, float, float]] | None = None
    crowd: bool = False


@dataclass(frozen=True, slots=True)
class ObjectRules:
    """What the task asks of every object. `keypoints` is how many there must be, for pose estimation."""

    task: str
    limits: Limits
    keypoints: int = 0


def within_limit(count: int, rules: ObjectRules, labels: Labels) -> bool:
    """Whether an image may have so many objects; asked before any is looked at. Notes that it has too many."""
    if count > rules.limits.objects:
        reason = f"The image has more than {rules.limits.objects} objects."
        labels.bad(Code.TOO_MANY_OBJECTS, reason)
    return count <= rules.limits.objects


def checked_objects(raws: list[RawObject], frame: Frame, rules: ObjectRules, labels: Labels) -> None:
    """Fills `fields["objects"]` and `categories` of `labels`; notes what is wrong with any object."""
    objects = [found for raw in raws if (found := _checked(raw, frame, rules, labels)) is not None]
    numbers = sum(len(points) for found in objects for points in found.get("polygons", ()))
    numbers += sum(len(found["rle"]["counts"]) for found in objects if "rle" in found)
    if numbers > rules.limits.sample_numbers:
        reason = f"The outlines of the image have {numbers} numbers; the limit is {rules.limits.sample_numbers}."
        labels.bad(Code.TOO_MANY_OBJECTS, reason)
    labels.fields["objects"] = objects
    labels.categories = [found["category"] for found in objects]


def _checked(raw: RawObject, frame: Frame, rules: ObjectRules, labels: Labels) -> dict[str, Any] | None:
    if not are_numbers(_numbers(raw)):
        labels.bad(Code.NOT_A_NUMBER, f"{raw.where}: a coordinate is not a finite number.")
        return None
    outline = _outline(raw, frame, labels)
    if outline is None:
        return None
    box = _box(raw, outline, frame, labels)
    if box is None:
        return None
    found: dict[str, Any] = {"category": raw.category, "box": box}
    if raw.crowd:
        found["crowd"] = True
    if rules.task == INSTANCES:
        if not outline:
            reason = f"{raw.where}: the object has a box but no outline; instance segmentation needs polygons or RLE."
            labels.bad(Code.OUTLINE_MISSING, reason)
            return None
        found |= {name: value for name, value in outline.items() if name in ("polygons", "rle")}
    elif rules.task == POSE:
        points = _keypoints(raw, frame, rules, labels)
        if points is None:
            return None
        found["keypoints"] = points
    return found


def _numbers(raw: RawObject) -> list[Any]:
    numbers: list[Any] = list(raw.box or ())
    for points in raw.polygons or ():
        numbers += points
    for point in raw.keypoints or ():
        numbers += point
    return numbers


def _outline(raw: RawObject, frame: Frame, labels: Labels) -> dict[str, Any] | None:
    """{"polygons"} or {"rle", "box"} or nothing; None, noted, when the outline is wrong."""
    if raw.rle is not None:
        return _run_lengths(raw, frame, labels)
    if raw.polygons is None:
        return {}
    if not raw.polygons or any(len(points) < 6 or len(points) % 2 for points in raw.polygons):
        reason = f"{raw.where}: a polygon needs three points or more, each with x and y."
        labels.bad(Code.POLYGON_TOO_SHORT, reason)
        return None
    clipped = [clipped_polygon(points, frame) for points in raw.polygons]
    beyond = max(beyond for _, beyond in clipped)
    if beyond > ROUNDING_PIXELS and raw.box is not None:
        labels.warning(Code.BOX_CLIPPED, f"{raw.where}: the outline reaches {beyond:.1f} pixels outside; clipped.")
    inside = [points for points, _ in clipped]
    if min(box_around(inside)[2:]) <= 0:
        if beyond > ROUNDING_PIXELS:
            labels.bad(Code.BOX_OUTSIDE, f"{raw.where}: the outline lies outside of the image.")
        else:
            labels.warning(Code.BOX_EMPTY, f"{raw.where}: the outline has no area; the object was left out.")
        return None
    return {"polygons": inside}


def _run_lengths(raw: RawObject, frame: Frame, labels: Labels) -> dict[str, Any] | None:
    assert raw.rle is not None  # noqa: S101 - asked by the caller
    height, width, counts = raw.rle
    expected = (frame.stored_height, frame.stored_width) if frame.orientation != 1 else (frame.height, frame.width)
    if (height, width) != expected:
        shown = f"{width} x {height}" if are_numbers([height, width]) else "no size"
        reason = f"{raw.where}: the RLE is for {shown} pixels, the image has {expected[1]} x {expected[0]}."
        labels.bad(Code.RLE_SIZE_MISMATCH, reason)
        return None
    try:
        runs = runs_from_text(counts) if isinstance(counts, str) else counts
        if not all(type(run) is int for run in runs):
            raise ValueError("a run is not a whole number")  # noqa: TRY301 - one way out for bad runs
        check_runs(runs, height, width)
    except ValueError as error:
        labels.bad(Code.RLE_INVALID, f"{raw.where}: the RLE cannot be read: {error}.")
        return None
    runs = turned(runs, height, width, frame.orientation)
    around = bounds(runs, frame.height)
    if around is None:
        labels.warning(Code.BOX_EMPTY, f"{raw.where}: the RLE marks no pixel; the object was left out.")
        return None
    return {"rle": {"size": [frame.height, frame.width], "counts": text_from_runs(runs)}, "box": around}


def _box(raw: RawObject, outline: dict[str, Any], frame: Frame, labels: Labels) -> list[float] | None:
    if raw.box is not None:
        return clipped_box(raw.box, frame, raw.where, labels)
    if "box" in outline:
        return [float(value) for value in outline["box"]]
    if raw.polygons:
        return clipped_box(box_around(raw.polygons), frame, raw.where, labels)
    labels.bad(Code.BOX_INVALID, f"{raw.where}: the object has neither a box nor an outline.")
    return None


def _keypoints(raw: RawObject, frame: Frame, rules: ObjectRules, labels: Labels) -> list[list[float]] | None:
    if raw.keypoints is None and raw.crowd:
        return [[0.0, 0.0, 0.0]] * rules.keypoints
    if raw.keypoints is None:
        labels.bad(Code.KEYPOINTS_MISSING, f"{raw.where}: the object has no key points.")
        return None
    if len(raw.keypoints) != rules.keypoints:
        reason = f"{raw.where}: {len(raw.keypoints)} key points, expected {rules.keypoints}."
        labels.bad(Code.KEYPOINT_COUNT_MISMATCH, reason)
        return None
    return [_keypoint(point, frame, raw.where, labels) for point in raw.keypoints]


def _keypoint(point: tuple[float, float, float], frame: Frame, where: str, labels: Labels) -> list[float]:
    """One key point inside of the image; not labelled (0) when it lies elsewhere."""
    visibility = min(2.0, max(0.0, float(round(point[2]))))
    if visibility == 0:
        return [0.0, 0.0, 0.0]
    x, y = frame.point(point[0], point[1])
    beyond = max(-x, -y, x - frame.width, y - frame.height)
    if beyond > ROUNDING_PIXELS:
        reason = f"{where}: a key point lies {beyond:.1f} pixels outside of the image; it counts as not labelled."
        labels.warning(Code.KEYPOINT_OUTSIDE, reason)
        return [0.0, 0.0, 0.0]
    return [rounded(min(max(x, 0.0), frame.width)), rounded(min(max(y, 0.0), frame.height)), visibility]
