"""Cloning over HTTPS, from a server of git's own with a certificate authority of ours."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from vision_trainer.failures import FailureCode, TrainerFailure

from conftest import Bundled, Jobs
from custom_trainer.manifest_source import Source
from custom_trainer.repository import AUTHORITIES, Wanted, check_address, fetch_commit, without_secrets
from https_git import Authority, GitServer, make_authority, redirect_to, say_nothing

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def served(sample: Bundled, authority: Authority) -> Iterator[GitServer]:
    """The sample repository's bare clone over HTTPS."""
    server = GitServer(sample.bare.parent, authority)
    yield server
    server.close()


def fetch(url: str, commit: str, into: Path, source: Source | None = None) -> Path:
    fetch_commit(url, Wanted(url, commit, source or Source()), into, protocol="https", network=True)
    return into


def refused(url: str, commit: str, into: Path, source: Source | None = None) -> str:
    """The message of MODEL_UNAVAILABLE."""
    with pytest.raises(TrainerFailure) as failure:
        fetch(url, commit, into, source)
    assert failure.value.code is FailureCode.MODEL_UNAVAILABLE
    return failure.value.message


def test_a_job_clones_and_trains(jobs: Jobs, served: GitServer, authority: Authority) -> None:
    settings = {"git_url": f"{served.url}/sample.git", "commit": jobs.sample.commit}
    asked = json.dumps(settings)
    trainer = jobs.start(CONFIG_JSON=asked, EPOCHS="1", ALLOW_NETWORK="1", GIT_SSL_CAINFO=str(authority.ca))
    offline = jobs.start(CONFIG_JSON=asked, GIT_SSL_CAINFO=str(authority.ca))
    stranger = jobs.start(CONFIG_JSON=asked, ALLOW_NETWORK="1")
    assert trainer.wait() == 0, trainer.log
    assert offline.wait() == 4 and "ALLOW_NETWORK=0" in offline.events_of("failed")[0]["message"]
    assert stranger.wait() == 4
    assert "certificate" in stranger.events_of("failed")[0]["message"]
    assert AUTHORITIES in stranger.events_of("failed")[0]["message"]


def test_the_commit_is_checked_and_the_address_is_left_behind(
    served: GitServer, authority: Authority, sample: Bundled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))
    found = fetch(f"{served.url}/sample.git", sample.commit, tmp_path / "out")
    assert (found / "vision-trainer.yaml").exists() and not (found / ".git").exists()
    assert "holds no commit" in refused(f"{served.url}/sample.git", "0" * 40, tmp_path / "none")
    assert "failed" in refused(f"{served.url}/other.git", sample.commit, tmp_path / "other")


def test_an_authority_nobody_named_is_not_believed(
    served: GitServer, sample: Bundled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{served.url}/sample.git"
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    assert "certificate" in refused(url, sample.commit, tmp_path / "unknown")
    monkeypatch.setenv(AUTHORITIES, str(make_authority(tmp_path, "theirs").ca))
    message = refused(url, sample.commit, tmp_path / "wrong")
    assert "certificate" in message and AUTHORITIES in message
    monkeypatch.setenv(AUTHORITIES, "ca.pem")
    with pytest.raises(TrainerFailure, match="absolute path of a PEM file"):
        fetch(url, sample.commit, tmp_path / "none")


def test_redirects_are_followed_over_https_alone_and_their_secrets_are_not_told(
    served: GitServer, authority: Authority, sample: Bundled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As git does: the first request may be sent elsewhere, by https and nothing else."""
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))
    plain = GitServer(sample.bare.parent, None)
    moved, downgraded = (GitServer(tmp_path, authority, redirect_to(goal)) for goal in (served.url, plain.url))
    lost = GitServer(tmp_path, authority, redirect_to(f"{served.url}/nowhere"))
    try:
        assert (fetch(f"{moved.url}/sample.git", sample.commit, tmp_path / "moved") / "train.py").exists()
        messages = [
            refused(f"{server.url}/sample.git", sample.commit, tmp_path / f"out-{number}")
            for number, server in enumerate((downgraded, lost))
        ]
        assert not any("s3cr3t" in message for message in messages), messages
    finally:
        for server in (plain, moved, downgraded, lost):
            server.close()


def test_a_server_that_says_nothing_is_left(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))
    server, started = GitServer(tmp_path, authority, say_nothing), time.monotonic()
    try:
        assert "not fetched within 1.5 s" in refused(f"{server.url}/a.git", "0" * 40, tmp_path / "out", _hasty())
        assert time.monotonic() - started < 10
    finally:
        server.close()


def test_a_server_that_sends_without_end_is_left(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AUTHORITIES, str(authority.ca))

    def drip(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(200)
        request.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b"0")
            request.wfile.flush()
            time.sleep(0.1)
        return True

    server = GitServer(tmp_path, authority, drip)
    try:
        message = refused(f"{server.url}/a.git", "0" * 40, tmp_path / "out", _hasty())
        assert "not fetched within" in message or "failed" in message
    finally:
        server.close()


def test_tokens_in_addresses_are_refused_and_never_repeated() -> None:
    for address in (
        "https://user:s3cr3t@host/path",
        "https://s3cr3t@host/path.git",
        "https://host/path?access_token=s3cr3t",
        "https://user:s3cr3t@host:8443/a.git?x=s3cr3t",
    ):
        with pytest.raises(TrainerFailure) as failure:
            check_address(address, "0" * 40, "bucket")
        assert "s3cr3t" not in failure.value.message and "***" in failure.value.message
    said = "warning: redirecting to https://u:s3cr3t@h/x?t=s3cr3t fatal: unable to access 'https://h/x?t=s3cr3t'"
    assert "s3cr3t" not in without_secrets(said)


def _hasty() -> Source:
    return Source(timeout_s=1.5)
