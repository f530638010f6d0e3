"""Brings one commit of a git repository to the disk: checked, bounded, without hooks, filters or credentials."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import ObjectMissing, split_uri

from .confinement import Walls, become_guardian, end_everything, launch
from .manifest_source import Source

# Where bundles lie in the platform's bucket.
BUNDLE_PREFIX = "repositories/"
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:\d{1,5})?/[A-Za-z0-9._~/+-]{1,400}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BUNDLE_KEY = re.compile(r"repositories/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}\.bundle")
_MESSAGE_LENGTH = 600
# git's own name for it: read from the trainer's environment, and the only setting of git that may come from there.
AUTHORITIES = "GIT_SSL_CAINFO"
_USER_INFO = re.compile(r"([a-z][a-z0-9+.-]*://)[^/@\s'\"]*@")
_QUERY = re.compile(r"(https?://[^\s?'\"]*)\?[^\s'\"]*")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A commit and where to get it."""

    git: str
    commit: str
    source: Source


def check_address(git: str, commit: str, bucket: str) -> None:
    """Raises BAD_CONFIG for an address that is neither https:// nor a bundle in the platform's own bucket."""
    if not _COMMIT.fullmatch(commit):
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"commit: found {commit[:80]!r}, expected a full commit hash (40 hex digits)."
        )
    if git.startswith("s3://"):
        found_bucket, key = split_uri(git)
        good = found_bucket == bucket and _BUNDLE_KEY.fullmatch(key) is not None and ".." not in key
    else:
        good = _HTTPS.fullmatch(git) is not None
    if not good:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"git_url: found {without_secrets(git)[:200]!r}, expected https://host/path without a user or password, or "
            f"s3://{bucket}/{BUNDLE_PREFIX}<name>.bundle.",
        )


def check_out(job: TrainerJob, wanted: Wanted, into: Path) -> Path:
    """The checked out commit in the folder `into`, without its .git.

    Raises BAD_CONFIG (address, commit), MODEL_UNAVAILABLE (does not exist, does not answer, too large, no network).
    """
    check_address(wanted.git, wanted.commit, job.env.storage.bucket)
    if wanted.git.startswith("s3://"):
        bundle = job.work_dir / "repository.bundle"
        try:
            job.storage.download(wanted.git, bundle)
        except ObjectMissing as error:
            raise _unavailable(
                f"{wanted.git} does not exist; make it with `git bundle create` and upload it"
            ) from error
        fetch_commit(str(bundle), wanted, into, protocol="file", network=False)
        bundle.unlink()
    elif not job.env.allow_network:
        raise _unavailable(
            f"{wanted.git} cannot be fetched, because this job has no network (ALLOW_NETWORK=0); "
            f"upload a git bundle and name it as git_url (s3://…/{BUNDLE_PREFIX}<name>.bundle)"
        )
    else:
        fetch_commit(wanted.git, wanted, into, protocol="https", network=True)
    return into


def fetch_commit(url: str, wanted: Wanted, into: Path, *, protocol: str, network: bool) -> None:
    """Fetches and checks out. `protocol` is the only one git may speak. Raises MODEL_UNAVAILABLE."""
    become_guardian()
    into.mkdir(parents=True, exist_ok=True)
    git = _Git(into, url, protocol, network, wanted.source)
    git("init", "--quiet", "--template=", ".")
    everything = ("fetch", "--quiet", "--no-tags", url, "+refs/*:refs/fetched/*")
    if url.endswith(".bundle"):
        if git(*everything, check=False) != 0:
            # A bundle of a shallow clone lacks the commits before this one; say so, and it is taken.
            (into / ".git/shallow").write_text(wanted.commit + "\n")
            git(*everything)
    # One commit where the server gives single commits out; otherwise all branches and tags, in which it may be.
    elif git("fetch", "--quiet", "--depth=1", "--no-tags", url, wanted.commit, check=False) != 0:
        git(*everything)
    if git("cat-file", "-e", f"{wanted.commit}^{{commit}}", check=False) != 0:
        raise _unavailable(f"{wanted.git} holds no commit {wanted.commit}")
    git("checkout", "--quiet", "--detach", wanted.commit)
    head = (into / ".git/HEAD").read_text().strip()
    if head != wanted.commit:
        raise _unavailable(f"the checkout is at {head[:60]}, expected {wanted.commit}")
    if wanted.source.submodules:
        git("submodule", "update", "--init", "--recursive", "--depth=1", "--quiet")
    if wanted.source.lfs:
        git("lfs", "pull")
    # What was fetched is what runs; its history, and any address in its configuration, are nobody's business.
    for path in [into / ".git", *into.glob("**/.git")]:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


class _Git:
    """Runs git with a configuration that is ours alone, within the limits of the source."""

    def __init__(self, folder: Path, url: str, protocol: str, network: bool, source: Source) -> None:
        self._folder = folder
        self._url = url
        self._network = network
        self._limit_bytes = source.max_mb << 20
        self._deadline = time.monotonic() + source.timeout_s
        self._timeout_s = source.timeout_s
        settings = [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.symlinks=true",
            "credential.helper=",
            "protocol.allow=never",
            f"protocol.{protocol}.allow=always",
            "submodule.recurse=false",
            "gc.auto=0",
            "maintenance.auto=false",
            "http.followRedirects=initial",
            "safe.directory=*",
            "advice.detachedHead=false",
            "init.defaultBranch=main",
        ]
        self._options = [word for setting in settings for word in ("-c", setting)]
        self._env = {
            "PATH": _path(),
            "HOME": str(folder / ".git-home"),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": protocol,
            "GIT_LFS_SKIP_SMUDGE": "0" if source.lfs else "1",
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
            "GIT_PROTOCOL_FROM_USER": "0",
        }
        self._authorities = authorities() if network else None
        if self._authorities is not None:
            self._env[AUTHORITIES] = str(self._authorities)

    def __call__(self, *words: str, check: bool = True) -> int:
        reads = [Path(self._url)] if self._url.startswith("/") else []
        if self._authorities is not None:
            reads.append(self._authorities)
        output = self._folder.parent / "git-output"
        with output.open("wb") as file:
            confined = launch(
                ["git", *self._options, *words],
                cwd=self._folder,
                env=self._env,
                walls=Walls(write=[self._folder], read=reads, network=self._network, file_bytes=self._limit_bytes),
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            try:
                code = self._wait(confined.process)
            finally:
                end_everything(confined)
        said = output.read_text(errors="replace")
        output.unlink()
        if code != 0 and check:
            raise _unavailable(f"git {words[0]} failed for {self._url}: {_last_words(said)}{_hint(said)}")
        return code

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        pause = 0.01
        while process.poll() is None:
            if time.monotonic() > self._deadline:
                raise _unavailable(f"{self._url} was not fetched within {self._timeout_s:g} s")
            if _size(self._folder) > self._limit_bytes:
                raise _unavailable(f"{self._url} is larger than {self._limit_bytes >> 20} MB (source.max_mb)")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return process.returncode


def authorities() -> Path | None:
    """The file of certificate authorities that an administrator named in GIT_SSL_CAINFO; None: the system's.

    Raises BAD_CONFIG where it is no file.
    """
    named = os.environ.get(AUTHORITIES, "")
    if not named:
        return None
    path = Path(named)
    if not path.is_absolute() or not path.is_file():
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"{AUTHORITIES}: found {named!r}, expected the absolute path of a PEM file with certificate authorities.",
        )
    return path


def without_secrets(text: str) -> str:
    """The text with what stands in addresses before an @, or behind a ?, left out: tokens and passwords."""
    return _QUERY.sub(r"\1?***", _USER_INFO.sub(r"\1***@", text))


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            continue
    return total


def _last_words(said: str) -> str:
    lines: Sequence[str] = [line.strip() for line in said.splitlines() if line.strip()]
    return without_secrets(" ".join(lines[-3:]))[-_MESSAGE_LENGTH:] or "it said nothing"


def _hint(said: str) -> str:
    if "certificate" not in said.lower():
        return ""
    return f" (is it signed by an authority of your own? An administrator names its PEM file in {AUTHORITIES})"


def _unavailable(message: str) -> TrainerFailure:
    return TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"Repository: {message}.")
