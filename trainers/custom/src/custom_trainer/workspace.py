"""The folders of one job, whose they are, and the values that templates can ask for."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.nvml import nvml_probe
from vision_trainer.run import TrainerJob, expected_device

from .confinement import job_user
from .manifest import Manifest
from .manifest_file import READY_MANIFESTS, LoadedManifest
from .templates import TemplateError, fill


@dataclass(slots=True)
class Workspace:
    """`root` is the kit's work folder, deleted at the end; the others lie in it. The repository runs as `uid`."""

    root: Path
    source: Path
    manifest_dir: Path
    data: Path
    output: Path
    tmp: Path
    home: Path
    uid: int | None

    @property
    def writable(self) -> list[Path]:
        """Where the repository may write."""
        return [self.source, self.data, self.output, self.tmp, self.home]

    def give_away(self, paths: Iterable[Path] | None = None) -> None:
        """Gives the folders (by default all) to the user the repository runs as."""
        if self.uid is None:
            return
        for top in self.writable if paths is None else paths:
            for folder, _, files in os.walk(top):
                os.chown(folder, self.uid, self.uid)
                for name in files:
                    os.chown(Path(folder) / name, self.uid, self.uid, follow_symlinks=False)


def make_workspace(job: TrainerJob) -> Workspace:
    """Empty folders. Where the repository can run as a user of its own, that user may pass through to them."""
    root = job.work_dir.resolve()
    folders = {name: root / name for name in ("source", "manifest", "data", "output", "tmp", "home")}
    for path in folders.values():
        path.mkdir()
    uid = job_user()
    if uid is not None:
        for folder in (root, *root.parents[:2]):
            # Passing through is not listing: names and contents stay the owner's. Only what is this user's own.
            status = folder.stat()
            if status.st_uid == os.geteuid() and not status.st_mode & 0o001:
                folder.chmod(status.st_mode & 0o7777 | 0o001)
    return Workspace(
        root=root,
        source=folders["source"],
        manifest_dir=folders["manifest"],
        data=folders["data"],
        output=folders["output"],
        tmp=folders["tmp"],
        home=folders["home"],
        uid=uid,
    )


def place_manifest(workspace: Workspace, loaded: LoadedManifest) -> None:
    """Brings what lies beside a ready manifest (shims, scripts, templates) into the job's folder."""
    if loaded.folder.is_relative_to(workspace.source.resolve()):
        workspace.manifest_dir = loaded.folder
    else:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(loaded.folder, workspace.manifest_dir, dirs_exist_ok=True, ignore=ignored)
        # Scripts that several ready manifests use.
        if (READY_MANIFESTS / "shared").is_dir():
            shutil.copytree(READY_MANIFESTS / "shared", workspace.manifest_dir / "shared", ignore=ignored)


def device_variables(job: TrainerJob, manifest: Manifest) -> dict[str, Any]:
    """Where it trains. Raises BAD_CONFIG for a repository that cannot do without a GPU on a machine that has none."""
    device, processes = expected_device(job.env.device), job.env.num_processes
    kind, _, index = device.partition(":")
    first = int(index or 0) if processes == 1 else 0
    gpus = list(range(first, first + processes)) if kind == "cuda" else []
    if kind == "cpu" and not manifest.resources.cpu:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"DEVICE: found {job.env.device!r} without a GPU, but {manifest.name} needs one."
        )
    if processes > 1:
        _check_processes(job, manifest, gpus)
    return {
        "device": "cpu" if kind == "cpu" else f"cuda:{first}",
        "device_type": kind,
        "gpu": kind == "cuda",
        "gpu_index": str(first) if gpus else "",
        "gpu_indices": ",".join(map(str, gpus)),
    }


def _check_processes(job: TrainerJob, manifest: Manifest, gpus: list[int]) -> None:
    """Raises BAD_CONFIG where this repository, or this machine, does not train with so many processes."""
    found, allowed = job.env.num_processes, manifest.resources.processes
    if allowed == "one" or job.env.job_kind != "train":
        reason = f"expected 1: the manifest of {manifest.name} does not say how several processes train together"
        if job.env.job_kind != "train":
            reason = f"expected 1 for {job.env.job_kind}"
    elif allowed == "on_gpus" and not gpus:
        reason = f"expected 1: several processes of {manifest.name} need a GPU each"
    elif gpus and nvml_probe(gpus) is None:
        reason = "expected at most the number of GPUs"
    else:
        return
    raise TrainerFailure(FailureCode.BAD_CONFIG, f"NUM_PROCESSES: found {found}, {reason}.")


def _free_port() -> int:
    """A TCP port that nobody listens at now; in a network of its own the repository has all of them anyway."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def base_variables(job: TrainerJob, manifest: Manifest, workspace: Workspace, params: dict[str, Any]) -> dict[str, Any]:
    """What is known before there is data."""
    env = job.env
    threads = available_cpus()
    return {
        "source": workspace.source,
        "manifest_dir": workspace.manifest_dir,
        "job": workspace.root,
        "data": workspace.data,
        "output": workspace.output,
        "tmp": workspace.tmp,
        "task": env.task_type,
        "epochs": env.epochs or 0,
        "batch_size": env.batch_size or 0,
        "learning_rate": env.learning_rate or 0.0,
        "seed": env.seed,
        "num_workers": env.num_workers
        if env.num_workers is not None
        else max(0, min(8, threads - 1)) // env.num_processes,
        "num_processes": env.num_processes,
        "distributed": env.num_processes > 1,
        "batch_per_process": (env.batch_size or 0) // env.num_processes,
        "port": _free_port(),
        "threads": max(1, threads // env.num_processes),
        # Empty until somebody fills them in: a prediction of single images, for one, lays out no data.
        **{f"{split}_{what}": "" for split in ("train", "val", "test", "eval") for what in ("dir", "json")},
        **dict.fromkeys(("data_yaml", "eval_split", "images", "images_json", "predictions", "report", "export"), ""),
        **dict.fromkeys(("num_classes", "train_samples", "val_samples", "num_keypoints"), 0),
        **{name: [] for name in ("classes", "keypoint_names", "flip_indices", "skeleton")},
        "pretrained": "",
        "checkpoint": "",
        "checkpoint_stem": "",
        "checkpoint_dir": "",
        **device_variables(job, manifest),
        **{f"params.{name}": value for name, value in params.items()},
    }


def dataset_variables(reader: DatasetReader) -> dict[str, Any]:
    """What the dataset tells about itself."""
    keypoints = reader.manifest.keypoints
    return {
        "classes": reader.classes,
        "num_classes": len(reader.classes),
        "train_samples": len(reader.split("train")),
        "val_samples": len(reader.split("val") or reader.split("test")),
        "num_keypoints": len(keypoints.names) if keypoints else 0,
        "keypoint_names": keypoints.names if keypoints else [],
        "flip_indices": [int(index) for index in keypoints.flip_indices] if keypoints else [],
        "skeleton": [[int(end) for end in pair.root] for pair in keypoints.skeleton] if keypoints else [],
    }


def write_files(manifest: Manifest, workspace: Workspace, variables: dict[str, Any]) -> None:
    """Fills the manifest's file templates and lays its links. Raises BAD_CONFIG for a place outside of the job."""
    for file in manifest.files:
        target = _inner(workspace, _filled(file.to, variables))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            # A link of the repository's would lead our pen elsewhere.
            target.unlink()
        text = (workspace.manifest_dir / file.template).read_text(encoding="utf-8")
        target.write_text(_filled(text, variables, file.template), encoding="utf-8")
    for link, goal in manifest.dataset.links.items():
        place = _inner(workspace, _filled(link, variables))
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(_inner(workspace, _filled(goal, variables)))


def _inner(workspace: Workspace, text: str) -> Path:
    path = Path(os.path.normpath(text))
    real = path.parent.resolve() / path.name
    if not any(real.is_relative_to(folder.resolve()) for folder in workspace.writable):
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"Manifest: {text} lies outside of the job's folders.")
    return path


def _filled(text: str, variables: dict[str, Any], name: str = "a template") -> str:
    try:
        return fill(text, variables)
    except TemplateError as error:
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"Manifest: {name}: {error}.") from error
