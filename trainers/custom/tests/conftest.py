"""Real parts for the tests: an S3 server, digits as a canonical dataset, the sample repository as a bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from dataset_writer import upload_dataset
from digit_scenes import make_splits, write_canonical
from forked_job import ForkedTrainer
from real_services import S3Server, s3_server
from trainer_process import TrainerProcess, job_environment
from vision_trainer.storage import Storage

# The reference repository, and over it what misbehaves.
SOURCES = (
    Path(__file__).parents[1] / "manifests/reference/source",
    Path(__file__).with_name("sample_repository"),
)
_JOB_IDS = count(1000)


@dataclass(frozen=True)
class Bundled:
    """A repository in the storage, and the bare repository it was made from."""

    git_url: str
    commit: str
    bare: Path


@dataclass(frozen=True)
class Jobs:
    """Starts jobs of the model `repository` against the S3 server."""

    server: S3Server
    storage: Storage
    dataset_uri: str
    sample: Bundled
    folder: Path

    def new_id(self) -> int:
        """A job id not used before in this run."""
        return next(_JOB_IDS)

    def start(
        self, job_id: int | None = None, *, config: dict[str, object] | None = None, **changes: str | None
    ) -> TrainerProcess:
        """Starts `python -m custom_trainer`; `config` are the repository's own settings."""
        return TrainerProcess("custom_trainer", self._environment(job_id, config or {}, **changes), self.folder)

    def start_forked(self, **changes: str | None) -> ForkedTrainer:
        """Quicker than `start`; for jobs that come to no repository."""
        return ForkedTrainer("custom_trainer", self._environment(None, {}, **changes), self.folder)

    def _environment(self, job_id: int | None, config: dict[str, object], **changes: str | None) -> dict[str, str]:
        settings = {"git_url": self.sample.git_url, "commit": self.sample.commit, "params": config}
        return job_environment(
            self.server.environment(),
            self.new_id() if job_id is None else job_id,
            self.dataset_uri,
            self.server.bucket,
            **{
                "CACHE_DIR": str(self.folder / "cache"),
                "FRAMEWORK": "custom",
                "MODEL_NAME": "repository",
                "CONFIG_JSON": json.dumps(settings),
                "EPOCHS": "4",
                "BATCH_SIZE": "32",
                "LEARNING_RATE": "0.05",
                **changes,
            },
        )

    def output_uri(self, job_id: int) -> str:
        """Where the job's objects lie."""
        return f"s3://{self.server.bucket}/jobs/{job_id}"


def make_bundle(storage: Storage, bucket: str, folder: Path, sources: Sequence[Path], name: str) -> Bundled:
    """Commits the files of folders, clones that bare, uploads the bundle of it."""
    work, bare, bundle = folder / f"{name}-work", folder / f"{name}.git", folder / f"{name}.bundle"

    def git(*words: str) -> str:
        options = ["-c", "user.name=Sample", "-c", "user.email=sample@example.org", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q", str(work))
    for source in sources:
        shutil.copytree(source, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    git("-C", str(work), "add", "-A")
    git("-C", str(work), "commit", "-qm", "The sample")
    git("clone", "-q", "--bare", str(work), str(bare))
    git("-C", str(bare), "bundle", "create", "-q", str(bundle), "--all")
    uri = f"s3://{bucket}/repositories/{name}.bundle"
    storage.upload_file(bundle, uri)
    return Bundled(uri, git("-C", str(bare), "rev-parse", "HEAD"), bare)


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
def sample(server: S3Server, storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    """The sample repository."""
    return make_bundle(storage, server.bucket, tmp_path_factory.mktemp("git"), SOURCES, "sample")


@pytest.fixture(scope="session")
def jobs(server: S3Server, storage: Storage, sample: Bundled, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Starts jobs."""
    folder = tmp_path_factory.mktemp("digits")
    scenes = make_splits("image_classification", {"train": 600, "val": 150}, seed=3, size=24)
    write_canonical(folder, "image_classification", scenes)
    uri = f"s3://{server.bucket}/datasets/1/v1/"
    upload_dataset(storage, uri, folder)
    return Jobs(server, storage, uri, sample, tmp_path_factory.mktemp("jobs"))
