"""Where the samples come from: the job's dataset, or 64 made-up ones when load is tested without a download."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from vision_trainer.contracts import DatasetSample
from vision_trainer.dataset import open_dataset, training_splits
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob

TASK_TYPE = "image_classification"
_FIRST_BYTES = (b"\x89PNG", b"\xff\xd8", b"RIFF", b"BM", b"GIF8", b"II*\0", b"MM\0*")


@dataclass(frozen=True, slots=True)
class Source:
    """The names of the classes, and the samples with their labels."""

    classes: list[str]
    train: list[DatasetSample]
    val: list[DatasetSample]


def open_source(job: TrainerJob, *, read: bool = True) -> Source:
    """The dataset of the job, downloaded and verified; with `read` False nothing is fetched. Raises DATASET_INVALID."""
    if job.env.task_type != TASK_TYPE:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"TASK_TYPE: found {job.env.task_type!r}, expected {TASK_TYPE!r}.")
    if not read:
        made_up = [_made_up(number) for number in range(64)]
        return Source(["even", "odd"], made_up[:48], made_up[48:])
    job.events.phase("downloading", 0.0)
    reader = open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, task_type=TASK_TYPE)
    train, val = training_splits(reader)
    for sample in (*train, *val):
        check_image(reader.read(sample), sample.member)
    job.events.phase("downloading", 100.0)
    return Source(reader.classes, train, val)


def check_image(content: bytes, name: str) -> None:
    """Raises DATASET_INVALID for what is no image by its first bytes: all that a trainer without pixels can tell."""
    if not content.startswith(_FIRST_BYTES):
        raise TrainerFailure(FailureCode.DATASET_INVALID, f"{name} is no image (PNG, JPEG, WebP, BMP, GIF or TIFF).")


def _made_up(number: int) -> DatasetSample:
    return DatasetSample(
        id=f"made-up-{number:02d}",
        split="train" if number < 48 else "val",
        shard="none",
        member=f"{number}.png",
        offset=0,
        bytes=0,
        width=1,
        height=1,
        sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        label=number % 2,
    )


def picture_of(uri: str, content: bytes, sha256: str) -> DatasetSample:
    """A single image as a sample without a label. Its size is read from a PNG's header; 1 x 1 for other formats."""
    width, height = struct.unpack(">II", content[16:24]) if content.startswith(b"\x89PNG") else (1, 1)
    return DatasetSample(
        id=uri,
        split="none",
        shard="none",
        member=uri,
        offset=0,
        bytes=len(content),
        width=max(1, width),
        height=max(1, height),
        sha256=sha256,
    )
