"""Draws small scenes for every vision task: real handwritten digits on textured canvases, the same for the same seed.

The digits are the 1,797 scans inside scikit-learn (8x8 grey, UCI "Optical Recognition of Handwritten Digits"), enlarged
and laid on a canvas in a colour that stands out. Nothing is invented that a label could get wrong: boxes, outlines,
masks, key points and captions are computed from the ink that was laid down.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from canonical_folder import write_canonical
from digit_outlines import outlines_of, run_lengths, silhouette
from scene import ALL_DIGITS, KEYPOINTS, TASKS, Scene, class_names

__all__ = [
    "ALL_DIGITS",
    "KEYPOINTS",
    "TASKS",
    "Scene",
    "class_names",
    "make_scenes",
    "make_splits",
    "write_canonical",
]

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Ink this dark or darker (of 1) belongs to the digit.
_INK = 0.4
_LARGEST_VALUE = 16.0
_PLACING_TRIES = 60
# Shares of the scans that belong to train, val and test when a split is asked for.
_SCAN_SHARES = {"train": (0.0, 0.7), "val": (0.7, 0.85), "test": (0.85, 1.0), "all": (0.0, 1.0)}

Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A digit on the canvas: which, where its ink is (height x width of the canvas)."""

    digit: int
    ink: Mask
    box: tuple[int, int, int, int] = field(default=(0, 0, 0, 0))


def make_scenes(
    task: str,
    count: int,
    seed: int,
    size: int = 96,
    *,
    digits: Sequence[int] = ALL_DIGITS,
    per_scene: tuple[int, int] | None = None,
    outlines: str = "polygons",
    scans: str = "all",
) -> list[Scene]:
    """`count` scenes of `size` x `size` pixels for a task of the platform. Raises ValueError for another task.

    `digits` restricts the classes (a category is the position in it); `per_scene` is the fewest and the most digits in
    a scene (default 1 to 3, captions 1 to 2); `outlines` is how instance segmentation tells masks: polygons or rle;
    `scans` takes the digits from one share of the scans (train, val, test), so that no scan is in two splits, or from
    all. image_classification has one digit that fills the image, and no two scenes of one call show the same scan.
    """
    if task not in TASKS:
        raise ValueError(f"task: found {task!r}, expected one of {', '.join(TASKS)}")
    rng = random.Random(f"{task}:{seed}")
    pool = _scans_of(tuple(digits), scans)
    if task == "image_classification":
        chosen = rng.sample(pool, min(count, len(pool)))
        return [_single(index, tuple(digits).index(_targets()[index]), size) for index in chosen]
    fewest, most = per_scene or ((1, 2) if task == "image_captioning" else (1, 3))
    return [_scene(task, rng, pool, size, tuple(digits), rng.randint(fewest, most), outlines) for _ in range(count)]


def make_splits(task: str, counts: dict[str, int], seed: int, size: int = 96, **options: Any) -> dict[str, list[Scene]]:
    """Scenes for each split, from scans that no other split uses. `options` are those of `make_scenes`."""
    return {
        split: make_scenes(task, count, seed + number, size, scans=split, **options)
        for number, (split, count) in enumerate(counts.items())
    }


def _single(index: int, label: int, size: int) -> Scene:
    grey = np.round(_images()[index] * 255).astype(np.uint8)
    image = Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC)
    return Scene(image.convert("RGB"), label=label)


def _scene(
    task: str, rng: random.Random, pool: list[int], size: int, digits: tuple[int, ...], wanted: int, outlines: str
) -> Scene:
    canvas = _texture(rng, size)
    placed: list[_Placed] = []
    for _ in range(wanted):
        one = _place(rng, canvas, rng.choice(pool), placed)
        if one is not None:
            placed.append(one)
    image = Image.fromarray(np.clip(np.round(canvas), 0, 255).astype(np.uint8), "RGB")
    if task == "image_captioning":
        return Scene(image, captions=[_caption(placed)])
    if task == "semantic_segmentation":
        mask = np.zeros((size, size), np.uint8)
        for one in placed:
            mask[one.ink] = 1 + digits.index(one.digit)
        return Scene(image, mask=mask)
    return Scene(image, objects=[_object(task, one, digits.index(one.digit), outlines) for one in placed])


def _texture(rng: random.Random, size: int) -> NDArray[np.float32]:
    """A dark canvas with soft blotches and a little grain: size x size x 3, values 0 to 110."""
    noise = np.random.default_rng(rng.getrandbits(32))
    coarse = noise.integers(0, 90, (6, 6, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(coarse, "RGB").resize((size, size), Image.Resampling.BICUBIC), np.float32)
    return soft + noise.integers(0, 20, (size, size, 1)).astype(np.float32)


def _place(rng: random.Random, canvas: NDArray[np.float32], scan: int, placed: list[_Placed]) -> _Placed | None:
    """Lays one digit where it touches no other. None when no free place was found."""
    size = canvas.shape[0]
    for _ in range(_PLACING_TRIES):
        side = round(size * rng.uniform(0.32, 0.5))
        left, top = rng.randint(0, size - side), rng.randint(0, size - side)
        alpha = np.zeros((size, size), np.float32)
        alpha[top : top + side, left : left + side] = _enlarged(scan, side)
        ink = alpha >= _INK
        box = _box(ink)
        if any(_touch(box, other.box) for other in placed):
            continue
        colour = np.array([rng.randint(150, 255) for _ in range(3)], np.float32)
        strength = np.where(ink, np.maximum(alpha, 0.7), alpha * 0.3)[..., None]
        canvas[:] = canvas * (1 - strength) + colour * strength
        return _Placed(int(_targets()[scan]), ink, box)
    return None


def _enlarged(scan: int, side: int) -> Grey:
    small = Image.fromarray(_images()[scan].astype(np.float32))
    return np.clip(np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), np.float32), 0, 1)


def _box(ink: Mask) -> tuple[int, int, int, int]:
    """x, y, width, height of the ink, in whole pixels."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    )


def _touch(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return (
        one[0] <= other[0] + other[2]
        and other[0] <= one[0] + one[2]
        and one[1] <= other[1] + other[3]
        and other[1] <= one[1] + one[3]
    )


def _object(task: str, one: _Placed, category: int, outlines: str) -> dict[str, Any]:
    found: dict[str, Any] = {"category": category, "box": [float(value) for value in one.box]}
    if task == "instance_segmentation":
        # As people annotate: the outer outline; the hole of a zero belongs to it.
        whole = silhouette(one.ink)
        if outlines == "rle":
            found["rle"] = {"size": list(whole.shape), "counts": run_lengths(whole)}
        else:
            found["polygons"] = outlines_of(whole)
    elif task == "pose_estimation":
        found["keypoints"] = _keypoints(one.ink)
    return found


def _keypoints(ink: Mask) -> list[list[float]]:
    """[x, y, 2] of each of KEYPOINTS; the middle of a pixel is at .5."""
    rows, columns = np.nonzero(ink)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    points = [
        (columns[rows == top].mean(), top),
        (columns[rows == bottom].mean(), bottom),
        (left, rows[columns == left].mean()),
        (right, rows[columns == right].mean()),
        (columns.mean(), rows.mean()),
    ]
    return [[round(float(x) + 0.5, 2), round(float(y) + 0.5, 2), 2.0] for x, y in points]


def _caption(placed: list[_Placed]) -> str:
    """`a three left of a seven`; three digits and more are told from left to right."""
    if not placed:
        return "nothing"
    if len(placed) == 2:
        (one, other) = placed
        dx, dy = (other.box[axis] + other.box[axis + 2] / 2 - one.box[axis] - one.box[axis + 2] / 2 for axis in (0, 1))
        if abs(dx) >= abs(dy):
            first, second, relation = (one, other, "left of") if dx >= 0 else (other, one, "left of")
        else:
            first, second, relation = (one, other, "above") if dy >= 0 else (other, one, "above")
        return f"{_named(first)} {relation} {_named(second)}"
    names = [_named(one) for one in sorted(placed, key=lambda one: one.box[0])]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _named(one: _Placed) -> str:
    name = DIGIT_NAMES[one.digit]
    return f"an {name}" if name == "eight" else f"a {name}"


def _scans_of(digits: tuple[int, ...], scans: str) -> list[int]:
    if scans not in _SCAN_SHARES:
        raise ValueError(f"scans: found {scans!r}, expected one of {', '.join(_SCAN_SHARES)}")
    order = list(range(len(_targets())))
    random.Random("scans").shuffle(order)
    first, last = (round(share * len(order)) for share in _SCAN_SHARES[scans])
    wanted = set(digits)
    return [index for index in order[first:last] if int(_targets()[index]) in wanted]


@cache
def _digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    loaded = load_digits()
    return (loaded.images / _LARGEST_VALUE).astype(np.float32), loaded.target.astype(np.int64)


def _images() -> NDArray[np.float32]:
    """1797 x 8 x 8, ink from 0 to 1."""
    return _digits()[0]


def _targets() -> NDArray[np.int64]:
    return _digits()[1]
