"""Figures about the images of a version, gathered one image at a time and without numpy (whose import is slow)."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from operator import add
from typing import Any

from .image_check import ImageFacts

_LEVELS = 256


@dataclass(slots=True)
class _Range:
    smallest: int = 0
    largest: int = 0
    total: int = 0

    def add(self, value: int, first: bool) -> None:
        self.smallest = value if first else min(self.smallest, value)
        self.largest = max(self.largest, value)
        self.total += value

    def as_json(self, count: int) -> dict[str, float]:
        return {"min": self.smallest, "max": self.largest, "mean": round(self.total / count, 2) if count else 0.0}


@dataclass(slots=True)
class ImageStatistics:
    """Sizes and formats of all images; mean and standard deviation of the training pixels, scaled to [0, 1]."""

    count: int = 0
    rotated: int = 0
    _width: _Range = field(default_factory=_Range)
    _height: _Range = field(default_factory=_Range)
    _formats: Counter[str] = field(default_factory=Counter)
    _grey: list[int] = field(default_factory=lambda: [0] * _LEVELS)
    _colour: list[int] = field(default_factory=lambda: [0] * (3 * _LEVELS))

    def add(self, facts: ImageFacts, split: str) -> None:
        """Takes one image in. Only training pixels count for mean and deviation, so that val stays unseen."""
        first = self.count == 0
        self.count += 1
        self.rotated += facts.orientation != 1
        width, height = facts.upright_size
        self._width.add(width, first)
        self._height.add(height, first)
        self._formats[facts.extension] += 1
        if split != "train":
            return
        if len(facts.histogram) == _LEVELS:
            self._grey = list(map(add, self._grey, facts.histogram))
        else:
            self._colour = list(map(add, self._colour, facts.histogram))

    def as_json(self) -> dict[str, Any]:
        """The `statistics` of the manifest. Rounded, so that no platform's last bit shows."""
        channels = [self._channel(index) for index in range(3)]
        return {
            "width": self._width.as_json(self.count),
            "height": self._height.as_json(self.count),
            "mean": [round(mean, 6) for mean, _ in channels],
            "std": [round(deviation, 6) for _, deviation in channels],
            "formats": dict(sorted(self._formats.items())),
            "rotated_by_exif": self.rotated,
            "greyscale": not any(self._colour),
        }

    def _channel(self, index: int) -> tuple[float, float]:
        histogram = list(map(add, self._grey, self._colour[index * _LEVELS : (index + 1) * _LEVELS]))
        pixels = sum(histogram)
        if not pixels:
            return 0.0, 0.0
        total = sum(level * number for level, number in enumerate(histogram))
        squares = sum(level * level * number for level, number in enumerate(histogram))
        # All sums are integers, so the variance is exact before the one division.
        variance = (squares * pixels - total * total) / (pixels * pixels)
        return total / pixels / 255, math.sqrt(variance) / 255
