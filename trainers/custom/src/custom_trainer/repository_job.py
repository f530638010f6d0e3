"""From a job to a repository that is ready to run: manifest, checkout, environment, folders."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.nvml import nvml_probe
from vision_trainer.run import TrainerJob
from vision_trainer.storage import sha256_of_file

from .confinement import Confined, Walls, become_guardian, launch, usable_by
from .manifest import Manifest
from .manifest_commands import JobCommand
from .manifest_file import LoadedManifest, load_inner, load_ready
from .manifest_source import Source
from .parameters import Value, words
from .program import Ending, Listener, Program, failure_of
from .python_environment import PythonEnvironment, prepare_environment
from .repository import Wanted, check_address, check_out
from .repository_log import RepositoryLog
from .settings import ANY_REPOSITORY, check_params
from .templates import TemplateError, fill, fill_argv
from .workspace import Workspace, base_variables, make_workspace, place_manifest

log = logging.getLogger(__name__)

# Handed on to the repository where they are set: limits of threads, and the marker by which the worker finds its
# processes.
_HANDED_ON = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "TZ",
    "VP_ATTEMPT",
)
# The address of code that comes with this trainer.
_OURS = "platform:"
# Nobody's telemetry, nobody's account.
_QUIET = {
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "WANDB_DISABLED": "true",
    "COMET_MODE": "disabled",
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which repository a job is about: for a training from its config, for the others from the checkpoint."""

    model_name: str
    git: str
    commit: str
    manifest_name: str
    params: dict[str, Any]
    accept_license: bool


@dataclass(slots=True)
class Repository:
    """A repository that can run its commands."""

    job: TrainerJob
    chosen: Chosen
    manifest: Manifest
    manifest_sha256: str
    workspace: Workspace
    environment: PythonEnvironment
    params: dict[str, Value | None]
    variables: dict[str, Any]
    program: Program
    log: RepositoryLog

    def has(self, name: JobCommand) -> bool:
        """Whether the manifest has such a command."""
        return self.manifest.commands.named(name) is not None

    def run(self, name: JobCommand, *, listener: Listener | None = None, limit_s: float | None = None) -> Ending:
        """Runs a command that the manifest has. Raises TrainerFailure unless it did its work or was asked to stop."""
        argv, cwd, env = self._filled(name, self.variables)
        ending = self.program.run(argv, cwd=cwd, env=env, listener=listener or Listener(), limit_s=limit_s)
        failure = None if ending.asked_to_stop else failure_of(ending, self.manifest, f"The repository's {name}")
        if failure is not None:
            if ending.last_lines:
                self.job.events.log("error", "\n".join(ending.last_lines)[-4000:])
            raise failure
        return ending

    def begin(self, name: JobCommand, variables: dict[str, Any], *, write: list[Path], output: IO[bytes]) -> Confined:
        """Starts a command beside the one that runs, at the lowest priority, and does not wait for it.

        `variables` go before the job's own. Call it from the main thread. Raises TrainerFailure.
        """
        argv, cwd, env = self._filled(name, {**self.variables, **variables})
        walls = replace(self.program.walls, write=[*self.program.walls.write, *write])
        lowest = ["nice", "-n", "19"] if shutil.which("nice", path=env["PATH"]) else []
        return launch([*lowest, *argv], cwd=cwd, env=env, walls=walls, stdout=output, stderr=subprocess.STDOUT)

    def _filled(self, name: JobCommand, variables: dict[str, Any]) -> tuple[list[str], Path, dict[str, str]]:
        """(words, folder, environment) of a command. Raises TrainerFailure."""
        command = self.manifest.commands.named(name)
        if command is None:
            raise TrainerFailure(
                FailureCode.FRAMEWORK_ERROR, f"The manifest of {self.manifest.name} has no command for {name}."
            )
        try:
            argv = fill_argv(command.argv, variables, words(self.manifest.parameters, self.params))
            cwd = Path(fill(command.cwd, variables))
            given = {**self.manifest.env, **command.env}
            env = {**self._environment(), **{key: fill(value, variables) for key, value in given.items()}}
        except TemplateError as error:
            raise TrainerFailure(FailureCode.BAD_CONFIG, f"Manifest: commands.{name}: {error}.") from error
        if argv[0] == "python":
            argv[0] = str(self.environment.python)
        return argv, cwd, env

    def prepare(self) -> None:
        """Runs the prepare command, where there is one."""
        if self.has("prepare"):
            self.run("prepare", limit_s=self.manifest.limits.prepare_s)
            self.job.leave_if_stopped()

    def _environment(self) -> dict[str, str]:
        workspace, threads = self.workspace, str(self.variables["threads"])
        shims = self.manifest.environment.shims if self.manifest.environment else None
        paths = [str(workspace.manifest_dir / shims)] if shims else []
        return {
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
            **{name: os.environ[name] for name in _HANDED_ON if name in os.environ},
            **_QUIET,
            **({} if self.job.env.allow_network else {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}),
            "PATH": f"{self.environment.bin}:/usr/local/bin:/usr/bin:/bin",
            "VIRTUAL_ENV": str(self.environment.bin.parent),
            "HOME": str(workspace.home),
            "TMPDIR": str(workspace.tmp),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": ":".join([*paths, str(workspace.source)]),
            "PYTHONHASHSEED": str(self.job.env.seed % 2**32),
            **({} if self.variables["gpu"] else {"CUDA_VISIBLE_DEVICES": ""}),
        }


def open_repository(job: TrainerJob, chosen: Chosen) -> Repository:
    """Everything up to the data. Raises BAD_CONFIG, MODEL_UNAVAILABLE, STORAGE_FAILURE; TrainingStopped in between."""
    become_guardian()
    if chosen.model_name == ANY_REPOSITORY:
        check_address(chosen.git, chosen.commit, job.env.storage.bucket)
        workspace = make_workspace(job)
        _fetch(job, workspace, Wanted(chosen.git, chosen.commit, Source()))
        loaded = load_inner(workspace.source, chosen.manifest_name)
        if loaded.manifest.source.submodules or loaded.manifest.source.lfs:
            # Only now is it known that they are wanted.
            _clear(workspace.source)
            _fetch(job, workspace, Wanted(chosen.git, chosen.commit, loaded.manifest.source))
    else:
        loaded = load_ready(chosen.model_name)
        _check_license(loaded.manifest, chosen)
        workspace = make_workspace(job)
        if loaded.manifest.source.folder is not None:
            _copy_folder(loaded, chosen, workspace)
        else:
            _fetch(job, workspace, Wanted(chosen.git, chosen.commit, loaded.manifest.source))
    _check_license(loaded.manifest, chosen)
    return _assemble(job, chosen, loaded, workspace)


def address_of(model_name: str, git_url: str | None, commit: str | None) -> tuple[str, str]:
    """(address, commit) of a ready model, unless the job names a mirror. Raises BAD_CONFIG."""
    loaded = load_ready(model_name)
    source = loaded.manifest.source
    if source.folder is not None:
        if git_url is not None:
            raise TrainerFailure(FailureCode.BAD_CONFIG, f"CONFIG_JSON: git_url: {model_name} comes with the platform.")
        return f"{_OURS}{model_name}", hash_of_folder(loaded.folder / source.folder)
    git, pinned = git_url or source.git, commit or source.commit
    if git is None or pinned is None:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"Manifest of {model_name}: source needs git and commit for a ready model."
        )
    return git, pinned


def _copy_folder(loaded: LoadedManifest, chosen: Chosen, workspace: Workspace) -> None:
    """Code that comes with this trainer. Raises MODEL_UNAVAILABLE when it is not what the checkpoint was made with."""
    folder = loaded.folder / str(loaded.manifest.source.folder)
    if hash_of_folder(folder) != chosen.commit:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE,
            f"The code of {chosen.model_name} is another version by now ({chosen.commit[:12]} was trained with).",
        )
    shutil.copytree(folder, workspace.source, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def hash_of_folder(folder: Path) -> str:
    """40 hex digits that change with any file's name or content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of_file(path)}\n".encode())
    return digest.hexdigest()[:40]


def _assemble(job: TrainerJob, chosen: Chosen, loaded: LoadedManifest, workspace: Workspace) -> Repository:
    manifest = loaded.manifest
    if job.env.task_type not in manifest.tasks:
        known = ", ".join(manifest.tasks)
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"TASK_TYPE: found {job.env.task_type!r}, expected {known} for {manifest.name}."
        )
    params = check_params(manifest, chosen.params)
    place_manifest(workspace, loaded)
    variables = base_variables(job, manifest, workspace, params) | {"commit": chosen.commit}
    job.leave_if_stopped()
    environment = prepare_environment(job, loaded, workspace.source, variables)
    variables["python"] = environment.python
    if workspace.uid is not None and not usable_by(workspace.uid, environment.python, workspace.source):
        workspace.uid = None
    if variables["gpu"]:
        job.heartbeat.gpu_probe = nvml_probe([int(index) for index in str(variables["gpu_indices"]).split(",")])
    walls = Walls(
        write=workspace.writable,
        read=[workspace.root, workspace.manifest_dir, *environment.read],
        network=manifest.resources.network and job.env.allow_network,
        uid=workspace.uid,
    )
    if manifest.resources.network and not job.env.allow_network:
        job.events.warning(
            "no_network", f"{manifest.name} asks for the network, but the job has none (ALLOW_NETWORK=0)."
        )
    output = RepositoryLog(job)
    return Repository(
        job=job,
        chosen=chosen,
        manifest=manifest,
        manifest_sha256=hashlib.sha256(manifest.model_dump_json().encode()).hexdigest(),
        workspace=workspace,
        environment=environment,
        params=params,
        variables=variables,
        program=Program(job, manifest, output, walls),
        log=output,
    )


def _fetch(job: TrainerJob, workspace: Workspace, wanted: Wanted) -> None:
    job.events.phase("downloading")
    check_out(job, wanted, workspace.source)
    job.leave_if_stopped()


def _clear(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _check_license(manifest: Manifest, chosen: Chosen) -> None:
    if manifest.license.acknowledge and not chosen.accept_license:
        notice = f" {manifest.license.notice}" if manifest.license.notice else ""
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"CONFIG_JSON: accept_license: {manifest.name} is under {manifest.license.spdx}.{notice} "
            "Set accept_license to true if you agree.",
        )
