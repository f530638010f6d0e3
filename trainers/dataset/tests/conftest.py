"""Fixtures: a zip on disk, and a real S3 server."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from hostile_archives import Entry, zip_of

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


@dataclass(frozen=True, slots=True)
class S3Server:
    endpoint: str
    access_key_id: str
    secret_access_key: str
    bucket: str

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name="us-east-1",
        )


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
