"""Writes the 1,797 handwritten digits inside scikit-learn as PNG files into an image-folder zip.

The pictures are real: 8x8 grey scans of digits written by 43 people (UCI, "Optical Recognition of Handwritten
Digits"). They are enlarged to 32x32, the smallest that timm's `test_resnet` takes without a change: five epochs
reach 0.99 top-1 in seconds. Grey, 8 bits. Run twice, it writes the same bytes.
"""

from __future__ import annotations

import argparse
import io
import random
import zipfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

SIDE_PIXELS = 32
SEED = 0
VAL_SHARE = 0.2
# Zip has no dates before 1980; a fixed one keeps the bytes the same from day to day.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LARGEST_VALUE = 16


def digit_files() -> list[tuple[str, bytes]]:
    """(name, PNG bytes) of all digits: `<split>/<class>/digit-<index>.png`, a fifth of each class in val."""
    digits = load_digits()
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(digits.target.tolist()):
        by_class.setdefault(label, []).append(index)
    files = []
    for label, indices in sorted(by_class.items()):
        shuffled = indices[:]
        random.Random(f"{SEED}:{label}").shuffle(shuffled)
        held_out = set(shuffled[: round(len(shuffled) * VAL_SHARE)])
        for index in indices:
            split = "val" if index in held_out else "train"
            files.append((f"{split}/{label}/digit-{index:04d}.png", _png(digits.images[index].tolist())))
    return files


def damage(files: list[tuple[str, bytes]], count: int) -> list[tuple[str, bytes]]:
    """The same files with the first of every class in turn broken, in the ways that uploads are broken in real life."""
    ways = (
        lambda content: content[: len(content) // 2],  # a copy that stopped in the middle
        lambda content: b"",  # a full disk
        lambda content: b"<!DOCTYPE html><title>404 Not Found</title>",  # a download that was an error page
        lambda content: content[:48] + bytes(len(content) - 60) + content[-12:],  # a bad sector
    )
    step = max(1, len(files) // max(1, count))
    broken = {number * step: ways[number % len(ways)] for number in range(min(count, len(files)))}
    return [(name, broken[at](content) if at in broken else content) for at, (name, content) in enumerate(files)]


def write_zip(path: Path, files: list[tuple[str, bytes]]) -> None:
    """Writes the files in the given order under `digits/`. Stored, not deflated: PNG does not shrink further."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(f"digits/{name}", _ZIP_EPOCH)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)


def _png(rows: list[list[float]]) -> bytes:
    scaled = bytes(round(value * 255 / _LARGEST_VALUE) for row in rows for value in row)
    small = Image.frombytes("L", (len(rows[0]), len(rows)), scaled)
    buffer = io.BytesIO()
    small.resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def main() -> None:
    """Reads the command line and writes the zip."""
    parser = argparse.ArgumentParser(description="Writes 1,797 real handwritten digits as an image-folder zip.")
    parser.add_argument("--output", type=Path, required=True, help="the zip to write")
    parser.add_argument("--damage", type=int, default=0, metavar="N", help="break N files, to see findings")
    arguments = parser.parse_args()
    files = digit_files()
    if arguments.damage:
        files = damage(files, arguments.damage)
    # Under another name first: whoever finds the zip finds all of it.
    partial = arguments.output.with_name(arguments.output.name + ".part")
    write_zip(partial, files)
    partial.replace(arguments.output)
    print(f"{len(files)} images, {arguments.output.stat().st_size} bytes: {arguments.output}")


if __name__ == "__main__":
    main()
