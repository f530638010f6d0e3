"""A real S3 server with a dataset of tiny PNG files: the stub looks at no pixel."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from dataset_writer import Picture, write_dataset
from real_services import S3Server, s3_server
from trainer_process import TrainerProcess, job_environment
from vision_trainer.storage import Storage

_JOB_IDS = count(7000)
# Short, with a known loss at every step.
_DEFAULTS = {"FRAMEWORK": "stub", "MODEL_NAME": "walk", "EPOCHS": "3", "BATCH_SIZE": "4", "LEARNING_RATE": "0.02"}


@dataclass(frozen=True)
class Jobs:
    """Starts stub jobs against the S3 server."""

    server: S3Server
    dataset_uri: str
    folder: Path

    def new_id(self) -> int:
        return next(_JOB_IDS)

    def start(self, job_id: int | None = None, /, **changes: str | None) -> TrainerProcess:
        environment = job_environment(
            self.server.environment(),
            self.new_id() if job_id is None else job_id,
            self.dataset_uri,
            self.server.bucket,
            **{"CACHE_DIR": str(self.folder / "cache"), **_DEFAULTS, **changes},
        )
        return TrainerProcess("stub_trainer", environment, self.folder)

    def output_uri(self, job_id: int) -> str:
        return f"s3://{self.server.bucket}/jobs/{job_id}"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def storage(server: S3Server) -> Storage:
    return server.storage()


@pytest.fixture(scope="session")
def jobs(server: S3Server, storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    uri = f"s3://{server.bucket}/datasets/7/v1/"
    splits = ["train"] * 24 + ["val"] * 8
    pictures = [Picture(split, number % 2, 2, 2, _png(number)) for number, split in enumerate(splits)]
    write_dataset(storage, uri, ["even", "odd"], pictures)
    return Jobs(server, uri, tmp_path_factory.mktemp("jobs"))


def _png(shade: int) -> bytes:
    """A grey PNG of 2 x 2 pixels."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes([0, shade, 1] * 2))),
    )
    chunks = b"".join(_chunk(kind, body) for kind, body in (*parts, (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
