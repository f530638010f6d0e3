"""Fixtures: a zip on disk, and a real S3 server."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile_archives import Entry, zip_of
from ingest_run import Ingest
from s3_server import S3Server

ROOT = Path(__file__).resolve().parents[3]
ZipMaker = Callable[..., Path]


@pytest.fixture
def make_zip(tmp_path: Path) -> ZipMaker:
    """Writes a zip of (name, content) entries and returns its path."""

    def make(*entries: Entry) -> Path:
        path = tmp_path / "upload.zip"
        path.write_bytes(zip_of(*entries))
        return path

    return make


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The server `./vp test` has started, or one of our own for the time of the tests."""
    names = ("TEST_S3_ENDPOINT", "TEST_S3_ACCESS_KEY_ID", "TEST_S3_SECRET_ACCESS_KEY", "TEST_S3_BUCKET")
    if all(os.environ.get(name) for name in names):
        yield S3Server(*(os.environ[name] for name in names))
        return
    node = shutil.which("node") or pytest.fail("node is not on PATH; run the tests by ./vp test")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = S3Server(f"http://127.0.0.1:{port}", "test-key", secrets.token_hex(16), "test-bucket")
    folder = tmp_path_factory.mktemp("s3")
    environment = {"PATH": os.environ["PATH"], "NODE_ENV": "production"}
    environment |= {"S3_ACCESS_KEY_ID": server.access_key_id, "S3_SECRET_ACCESS_KEY": server.secret_access_key}
    script = ROOT / "deploy/laptop/src/s3-server.ts"
    process = subprocess.Popen([node, str(script), str(folder), str(port), server.bucket], env=environment)
    try:
        _wait_for(port, process)
        yield server
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def ingest(s3: S3Server, tmp_path: Path) -> Iterator[Ingest]:
    made = Ingest(s3, tmp_path / "work")
    made.work.mkdir()
    yield made
    assert list(made.work.iterdir()) == [], "the trainer leaves nothing on the disk"


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the S3 server for tests did not start; `npm ci` in the repository's root first")
