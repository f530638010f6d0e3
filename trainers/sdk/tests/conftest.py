"""Real servers for the tests of the kit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_services import S3Server, redis_server, s3_server

from vision_trainer.storage import Storage


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def storage(server: S3Server) -> Storage:
    """A client of it."""
    return server.storage()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis or Valkey, by an administrator."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
