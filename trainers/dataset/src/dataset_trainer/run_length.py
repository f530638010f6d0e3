"""COCO's run lengths: column by column, starting with background; as lists and as COCO's compressed text.

The text is that of `rleToString` in cocoapi's common/maskApi.c: from the third run on the difference to the run before
the last, in groups of five bits, a sixth for "more follows", plus 48.
"""

from __future__ import annotations

from itertools import accumulate, groupby

from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LARGEST_RUN = 2**40


def runs_from_text(text: str) -> list[int]:
    """The runs of a compressed text. Raises ValueError when it is none."""
    runs: list[int] = []
    value = shift = 0
    for char in text:
        bits = ord(char) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"the character {char!r} does not belong into compressed counts")
        value |= (bits & 0x1F) << shift
        shift += 5
        if shift > 60:
            raise ValueError("a run is endless")
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the counts end in the middle")
    return runs


def text_from_runs(runs: list[int]) -> str:
    """The compressed text of runs."""
    text = []
    for position, run in enumerate(runs):
        value = run - (runs[position - 2] if position > 2 else 0)
        more = True
        while more:
            bits, value = value & 0x1F, value >> 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append(chr(48 + (bits | (0x20 if more else 0))))
    return "".join(text)


def check_runs(runs: list[int], height: int, width: int) -> None:
    """Raises ValueError unless the runs cover exactly `height` x `width` pixels."""
    if any(run < 0 or run > _LARGEST_RUN for run in runs):
        raise ValueError("a run is negative")
    if sum(runs) != height * width:
        raise ValueError(f"the runs cover {sum(runs)} pixels, the image has {height * width}")


def bounds(runs: list[int], height: int) -> tuple[int, int, int, int] | None:
    """x, y, width, height of the foreground in pixels; None when there is none."""
    ends = list(accumulate(runs))
    spans = [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=False) if end > start]
    if not spans:
        return None
    left, right = spans[0][0] // height, (spans[-1][1] - 1) // height
    # A run that goes on into the next column touches the bottom and the top.
    wraps = any(start // height != (end - 1) // height for start, end in spans)
    top = 0 if wraps else min(start % height for start, _ in spans)
    bottom = height - 1 if wraps else max((end - 1) % height for _, end in spans)
    return left, top, right - left + 1, bottom - top + 1


def turned(runs: list[int], height: int, width: int, orientation: int) -> list[int]:
    """The runs of the mask after the EXIF `orientation` (1 to 8) of its `height` x `width` image is applied."""
    if orientation not in _TURNS:
        return runs
    columns = b"".join(bytes([255 * (at % 2)]) * run for at, run in enumerate(runs))
    # Column by column is row by row of the transposed image.
    mask = Image.frombytes("L", (height, width), columns).transpose(Image.Transpose.TRANSPOSE)
    upright = turned_image(mask, orientation).transpose(Image.Transpose.TRANSPOSE)
    found = [(value, sum(1 for _ in same)) for value, same in groupby(upright.tobytes())]
    return ([0] if found and found[0][0] else []) + [length for _, length in found]


def turned_image(image: Image.Image, orientation: int) -> Image.Image:
    """The image with an EXIF `orientation` applied."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
