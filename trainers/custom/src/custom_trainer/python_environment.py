"""The Python that runs a repository: built from the manifest's lock, once, and shared by all jobs with the same
lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.run import TrainerJob
from vision_trainer.storage import ObjectMissing

from .confinement import Walls, end_everything, launch
from .manifest_file import LoadedManifest
from .manifest_source import Environment
from .templates import Variables, fill

# `environments/<sha256 of the lock>.tar` in the platform's bucket: the wheels of a lock, for hosts without the network.
WHEELS_PREFIX = "environments/"
_MARKER = "vision-platform-complete"
_MESSAGE_LENGTH = 800


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """An interpreter, and the folders it must be able to read."""

    python: Path
    read: list[Path]

    @property
    def bin(self) -> Path:
        """The folder of its programs."""
        return self.python.parent


def own_environment() -> PythonEnvironment:
    """The trainer's own interpreter, for manifests that ask for none: numpy and Pillow are there."""
    return _environment(Path(sys.executable))


def prepare_environment(
    job: TrainerJob, loaded: LoadedManifest, source: Path, variables: Variables
) -> PythonEnvironment:
    """The environment of the manifest, from the cache or built now.

    Raises MODEL_UNAVAILABLE with what the tool said when it cannot be built in time, or not without the network.
    """
    wanted = loaded.manifest.environment
    if wanted is None:
        return own_environment()
    lock = loaded.folder / wanted.requirements
    folder = job.cache_dir / "environments" / _key(wanted, lock, loaded, variables)
    with _only_one(folder.with_suffix(".lock"), wanted.timeout_s):
        if not (folder / _MARKER).exists():
            job.events.log("info", f"Installing the environment of {loaded.manifest.name} ({wanted.requirements}).")
            started = time.monotonic()
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _build(job, wanted, lock, folder, source, variables)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / _MARKER).write_text(json.dumps({"name": loaded.manifest.name, "lock": lock.name}))
            job.events.log("info", f"The environment is ready after {time.monotonic() - started:.0f} s.")
    return _environment(folder / "bin" / "python")


def _environment(python: Path) -> PythonEnvironment:
    """What a virtual environment needs to read: itself, and the installation that it was made of."""
    real = python.resolve()
    roots = {python.parent.parent, real.parent.parent}
    if python == Path(sys.executable):
        roots |= {Path(sys.prefix), Path(sys.base_prefix).resolve()}
    return PythonEnvironment(python, sorted(roots))

    """Folders on this interpreter's path outside of its own; a development install has some."""
    return {Path(entry) for entry in sys.path if entry and Path(entry).is_dir() and "trainers" in Path(entry).parts}


def _key(wanted: Environment, lock: Path, loaded: LoadedManifest, variables: Variables) -> str:
    content: dict[str, object] = {
        "lock": lock.read_text(),
        "python": wanted.python,
        "install": wanted.install,
        "machine": os.uname().machine,
    }
    if wanted.install:
        # What is installed may come out of the checkout.
        content["commit"] = variables.get("commit")
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{loaded.manifest.name}-{digest[:16]}"


def _build(job: TrainerJob, wanted: Environment, lock: Path, folder: Path, source: Path, variables: Variables) -> None:
    builder = _Builder(job, folder, time.monotonic() + wanted.timeout_s)
    python = builder.find_python(wanted.python)
    builder.run([_uv(), "venv", "--quiet", "--relocatable", "--python", str(python), str(folder)], [], what="venv")
    reads = _environment(folder / "bin" / "python").read
    wheels = _wheels(job, lock)
    offline = ["--no-index", "--find-links", str(wheels)] if wheels else []
    sync = [_uv(), "pip", "sync", "--quiet", "--python", str(folder / "bin" / "python"), *offline, str(lock)]
    builder.run(sync, [*reads, lock.parent, *([wheels] if wheels else [])], what=lock.name)
    for argv in wanted.install:
        words = [fill(word, {**variables, "python": folder / "bin" / "python"}) for word in argv]
        if words[0] == "python":
            words[0] = str(folder / "bin" / "python")
        if words[0] == "uv":
            words[0] = _uv()
        builder.run(words, [*reads, lock.parent], what=" ".join(argv)[:100], cwd=source, write=[source])
    if wheels:
        shutil.rmtree(wheels)


class _Builder:
    """Runs the tools that fill an environment: within a time limit, walled in, with a clean environment."""

    def __init__(self, job: TrainerJob, folder: Path, deadline: float) -> None:
        self._job = job
        self._folder = folder
        self._deadline = deadline
        self._cache = job.cache_dir / "uv"
        self._home = job.work_dir / "install-home"
        for path in (self._cache, self._home, folder):
            path.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """Variables of the tools; where certificates lie is the machine's to say."""
        network = self._job.env.allow_network
        kept = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
        return {
            **kept,
            "PATH": f"{self._folder / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._home),
            "TMPDIR": str(self._home),
            "LANG": "C.UTF-8",
            "VIRTUAL_ENV": str(self._folder),
            "UV_CACHE_DIR": str(self._cache),
            "UV_PYTHON_INSTALL_DIR": str(self._job.cache_dir / "python"),
            "UV_PYTHON_DOWNLOADS": "automatic" if network else "never",
            "UV_OFFLINE": "0" if network else "1",
            "UV_NO_PROGRESS": "1",
            "UV_HTTP_TIMEOUT": "300",
            # The machine's own list of authorities, as git and pip use it; both names, for older and newer versions.
            "UV_SYSTEM_CERTS": "1",
            "UV_NATIVE_TLS": "1",
            # Jobs may not write here, so nobody could keep what Python compiles at the first import.
            "UV_COMPILE_BYTECODE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def find_python(self, version: str) -> Path:
        """An interpreter of the version: of the machine, or fetched where the job has the network."""
        if ".".join(map(str, sys.version_info[:2])) == version:
            return Path(sys.executable).resolve()
        for words in (["find", version], ["install", version], ["find", version]):
            if words[0] == "install" and not self._job.env.allow_network:
                break
            # uv itself is ours, and what it asks are interpreters of this machine: no walls are needed.
            found = subprocess.run(
                [_uv(), "python", *words],
                env=self.environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
            if words[0] == "find" and found.returncode == 0:
                return Path(found.stdout.strip()).resolve()
        raise _unavailable(f"there is no Python {version} on this machine")

    def run(
        self,
        argv: Sequence[str],
        reads: Sequence[Path],
        *,
        what: str,
        cwd: Path | None = None,
        write: Sequence[Path] = (),
    ) -> None:
        """Runs one tool. Raises MODEL_UNAVAILABLE."""
        output = self._home / "output"
        walls = Walls(
            write=[self._folder, self._cache, self._home, *write],
            read=[
                *reads,
                Path(argv[0]).resolve().parent,
                Path(sys.base_prefix).resolve(),
                self._job.cache_dir / "python",
            ],
            network=self._job.env.allow_network,
        )
        with output.open("wb") as file:
            confined = launch(
                argv, cwd=cwd or self._home, env=self.environment(), walls=walls, stdout=file, stderr=subprocess.STDOUT
            )
            try:
                while confined.process.poll() is None:
                    self._job.leave_if_stopped()
                    if time.monotonic() > self._deadline:
                        raise _unavailable(f"{what} took longer than the manifest allows (environment.timeout_s)")
                    time.sleep(0.05)
            finally:
                end_everything(confined)
        if confined.process.returncode != 0:
            said = " ".join(output.read_text(errors="replace").split())[-_MESSAGE_LENGTH:]
            network = "" if self._job.env.allow_network else " (this job has no network, ALLOW_NETWORK=0)"
            raise _unavailable(f"{what}{network}: {said}")


def _wheels(job: TrainerJob, lock: Path) -> Path | None:
    """The wheels of this lock from the platform's storage, unpacked, where somebody put them there."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    archive = job.work_dir / "wheels.tar"
    try:
        job.storage.download(f"s3://{job.env.storage.bucket}/{WHEELS_PREFIX}{digest}.tar", archive)
    except ObjectMissing:
        return None
    folder = job.work_dir / "wheels"
    folder.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            # Names alone count, wherever they lie in the archive.
            content = tar.extractfile(member) if member.isfile() and member.name.endswith(".whl") else None
            if content is not None:
                with (folder / Path(member.name).name).open("wb") as wheel:
                    shutil.copyfileobj(content, wheel)
    archive.unlink()
    return folder


@contextmanager
def _only_one(path: Path, timeout_s: float) -> Iterator[None]:
    """Two jobs that want the same environment build it once; the lock dies with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise _unavailable("another job has been building it for too long") from None
                time.sleep(0.2)
        yield


def _uv() -> str:
    import uv

    return str(uv.find_uv_bin())


def _unavailable(message: str) -> TrainerFailure:
    return TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"The repository's environment cannot be built: {message}.")
