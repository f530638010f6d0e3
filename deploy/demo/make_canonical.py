"""Writes digit scenes as a canonical dataset version into a folder, ready to be put under a DATASET_URI."""

from __future__ import annotations

import argparse
from pathlib import Path

from digit_scenes import TASKS, make_splits, write_canonical


def main() -> None:
    """Reads the command line and writes the folder."""
    parser = argparse.ArgumentParser(description="Writes digit scenes as a canonical dataset version.")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--output", type=Path, required=True, help="the folder to write; must not exist or be empty")
    parser.add_argument("--train", type=int, default=64, metavar="N", help="training samples (64)")
    parser.add_argument("--val", type=int, default=16, metavar="N", help="validation samples (16)")
    parser.add_argument("--test", type=int, default=0, metavar="N", help="test samples (0)")
    parser.add_argument("--size", type=int, default=96, help="side of the images in pixels (96)")
    parser.add_argument("--digits", default="0123456789", help="the digits that appear, such as 038 (all)")
    parser.add_argument("--outlines", choices=("polygons", "rle"), default="polygons", help="how masks are told")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not arguments.digits.isdigit():
        parser.error(f"--digits: found {arguments.digits!r}, expected digits such as 038")
    if arguments.output.exists() and any(arguments.output.iterdir()):
        parser.error(f"--output: {arguments.output} is not empty; name a new folder")
    counts = {name: getattr(arguments, name) for name in ("train", "val", "test") if getattr(arguments, name) > 0}
    digits = tuple(sorted({int(digit) for digit in arguments.digits}))
    scenes = make_splits(
        arguments.task, counts, arguments.seed, arguments.size, digits=digits, outlines=arguments.outlines
    )
    manifest = write_canonical(arguments.output, arguments.task, scenes, digits=digits)
    print(f"{manifest['samples']['count']} samples, classes {manifest['classes']}: {arguments.output}")


if __name__ == "__main__":
    main()
