"""The rows of a YOLO label file: boxes, outlines and key points as shares of the image."""

from __future__ import annotations

import math
import zipfile

from .archive import Member
from .findings import Code
from .formats import INSTANCES, POSE
from .geometry import Frame
from .image_check import ImageFacts
from .inventory import read_text
from .labels import Labels, SourceFile
from .object_check import ObjectRules, RawObject, checked_objects, within_limit

_BOX_COLUMNS = 5
# Further outside of 0 to 1 nobody rounds: such numbers are pixels.
_LARGEST_SHARE = 2.0


class RowLabeller:
    """Reads `class x y w h`, `class x1 y1 x2 y2 …` and `class x y w h (px py [v])…`, all but the class as shares."""

    def __init__(
        self, archive: zipfile.ZipFile, names: list[str], shape: tuple[int, int] | None, rules: ObjectRules
    ) -> None:
        self._archive = archive
        self._names = names
        self._shape = shape
        self._rules = rules

    def classes(self) -> list[str]:
        """The names of data.yaml."""
        return self._names

    def collect(self, file: SourceFile) -> str:
        """The text of the label file; empty for a background image. Raises BadAnnotation."""
        label: Member | None = file.key
        return "" if label is None else read_text(self._archive, label, self._rules.limits.text_bytes)

    def label(self, file: SourceFile, collected: str, facts: ImageFacts) -> Labels:
        """Objects in pixels of the upright image, as Ultralytics takes them."""
        labels = Labels()
        frame = Frame(*facts.upright_size)
        raws: list[RawObject] = []
        lines = collected.splitlines()
        if not within_limit(len(lines), self._rules, labels):
            return labels
        for number, line in enumerate(lines, start=1):
            if line.strip():
                raw = self._raw(f"line {number}", line.split(), frame, labels)
                if raw is not None:
                    raws.append(raw)
        checked_objects(_without_copies(raws), frame, self._rules, labels)
        return labels

    def _raw(self, where: str, columns: list[str], frame: Frame, labels: Labels) -> RawObject | None:
        try:
            numbers = [float(column) for column in columns]
        except ValueError:
            labels.bad(Code.ROW_INVALID, f"{where}: expected numbers only.")
            return None
        if not all(map(math.isfinite, numbers)):
            labels.bad(Code.NOT_A_NUMBER, f"{where}: a number is not finite.")
            return None
        category = numbers[0]
        if category != int(category) or not 0 <= category < len(self._names):
            reason = f"{where}: class {columns[0][:40]}, but data.yaml has classes 0 to {len(self._names) - 1}."
            labels.bad(Code.CATEGORY_UNKNOWN, reason)
            return None
        return self._placed(RawObject(where, int(category)), numbers[1:], frame, labels)

    def _placed(self, raw: RawObject, shares: list[float], frame: Frame, labels: Labels) -> RawObject | None:
        """Adds box, outline or key points, told apart by the number of columns."""
        count, dimensions = self._shape or (0, 0)
        posed = count > 0 and self._rules.task != INSTANCES and len(shares) == _BOX_COLUMNS - 1 + count * dimensions
        if self._rules.task == POSE and not posed:
            reason = (
                f"{raw.where}: {len(shares) + 1} columns, expected {_BOX_COLUMNS + count * dimensions}: "
                f"class, box and {count} key points of {dimensions} numbers (kpt_shape)."
            )
            labels.bad(Code.KEYPOINT_COUNT_MISMATCH, reason)
            return None
        outlined = len(shares) >= 6 and len(shares) % 2 == 0 and not posed
        if len(shares) != _BOX_COLUMNS - 1 and not outlined and not posed:
            if self._rules.task == INSTANCES and len(shares) < 6:
                labels.bad(Code.POLYGON_TOO_SHORT, f"{raw.where}: a polygon needs three points or more.")
            else:
                reason = f"{raw.where}: {len(shares) + 1} columns; expected class and box (5), or class and polygon."
                labels.bad(Code.ROW_INVALID, reason)
            return None
        placed = shares if outlined else shares[:4]
        if any(abs(share) > _LARGEST_SHARE for share in placed):
            reason = f"{raw.where}: coordinates are shares of the image from 0 to 1; {max(placed, key=abs):g} is none."
            labels.bad(Code.COORDINATES_NOT_NORMALISED, reason)
            return None
        if outlined:
            raw.polygons = [[share * (frame.height if at % 2 else frame.width) for at, share in enumerate(shares)]]
            return raw
        x, y, width, height = shares[:4]
        raw.box = (
            (x - width / 2) * frame.width,
            (y - height / 2) * frame.height,
            width * frame.width,
            height * frame.height,
        )
        if self._rules.task == POSE:
            raw.keypoints = _keypoints(shares[4:], dimensions, frame)
        return raw


def _keypoints(numbers: list[float], dimensions: int, frame: Frame) -> list[tuple[float, float, float]]:
    """Without visibility a point at 0, 0 or before it is one that was not labelled."""
    points = []
    for at in range(0, len(numbers), dimensions):
        x, y = numbers[at], numbers[at + 1]
        seen = numbers[at + 2] if dimensions == 3 else 0.0 if x < 0 or y < 0 or (x == 0 and y == 0) else 2.0
        points.append((x * frame.width, y * frame.height, seen))
    return points


def _without_copies(raws: list[RawObject]) -> list[RawObject]:
    """Rows that are there twice count once, as Ultralytics takes them."""
    kept = []
    seen = set()
    for raw in raws:
        told = (raw.category, raw.box, str(raw.polygons), str(raw.keypoints))
        if told not in seen:
            seen.add(told)
            kept.append(raw)
    return kept
