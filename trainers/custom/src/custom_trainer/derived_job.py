"""What evaluate, predict and export have in common: the repository and weights of a training, ready to run."""

from __future__ import annotations

from dataclasses import dataclass

from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.model_source import open_model
from vision_trainer.resume import ResumedCheckpoint
from vision_trainer.run import TrainerJob

from .checkpoint_files import put_back, read_index
from .confinement import remove_traces
from .layout import write_data
from .manifest_commands import JobCommand
from .program import Listener
from .repository_job import Chosen, Repository, open_repository
from .training_state import place_checkpoint
from .workspace import dataset_variables, write_files


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model behind its repository's commands."""

    repository: Repository
    checkpoint: ResumedCheckpoint

    @property
    def classes(self) -> list[str]:
        """Class names in index order, as they were in training."""
        return self.checkpoint.manifest.classes


def open_trained(job: TrainerJob, command: JobCommand) -> Trained:
    """The checkpoint behind MODEL_URI and its repository at the commit it was trained with.

    Raises BAD_CONFIG for a checkpoint that is not of this trainer, FRAMEWORK_ERROR where the manifest lacks the
    command, MODEL_UNAVAILABLE.
    """

    def check(path: object) -> None:
        read_index(path)  # type: ignore[arg-type]

    checkpoint = open_model(job, check=check)
    repository = open_repository(job, _chosen(job, checkpoint))
    if not repository.has(command):
        raise TrainerFailure(
            FailureCode.FRAMEWORK_ERROR,
            f"This repository cannot {command}: the manifest of {repository.manifest.name} has no such command.",
        )
    recorded = (checkpoint.manifest.model.model_extra or {}) if checkpoint.manifest.model else {}
    for name in ("batch_size", "learning_rate", "epochs", "seed"):
        repository.variables[name] = recorded.get(name, repository.variables[name])
    restored = put_back(checkpoint.folder, repository.workspace.output)
    # best.json asks for the best weights, last.json for the newest; a folder gives what it was saved as.
    uri = job.env.model_uri or ""
    best = uri.endswith("/best.json") or (restored.state.get("is_best") is True and not uri.endswith("/last.json"))
    place_checkpoint(repository, restored.best if best else restored.last)
    repository.variables |= {"classes": checkpoint.manifest.classes, "num_classes": len(checkpoint.manifest.classes)}
    return Trained(repository, checkpoint)


def lay_out_data(job: TrainerJob, trained: Trained, split: str | None) -> tuple[DatasetReader, str]:
    """Fetches one split and writes it in the repository's format. Returns the reader and the split's name.

    Raises BAD_CONFIG for a split that is not there, or a dataset with other classes than the model's.
    """
    env, repository = job.env, trained.repository
    reader = open_dataset(job.storage, env.dataset_uri, job.cache_dir, task_type=env.task_type)
    if reader.classes != trained.classes:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"DATASET_URI: found {len(reader.classes)} classes that are not the model's {len(trained.classes)}, "
            "expected the same classes in the same order.",
        )
    wanted = split or next((name for name in ("val", "test", "train") if reader.split(name)), "val")
    if not reader.split(wanted):
        known = ", ".join(sorted({sample.split for sample in reader.samples}))
        raise TrainerFailure(FailureCode.BAD_CONFIG, f"CONFIG_JSON: split: found {wanted!r}, expected one of {known}.")
    repository.variables |= dataset_variables(reader)
    wanted_format = repository.manifest.format_of(env.task_type)
    repository.variables |= write_data(reader, wanted_format, repository.workspace.data, wanted)
    return reader, wanted


def run_command(job: TrainerJob, repository: Repository, command: JobCommand) -> None:
    """Writes the manifest's files, runs prepare and the command. Raises TrainerFailure, TrainingStopped."""
    try:
        write_files(repository.manifest, repository.workspace, repository.variables)
        repository.workspace.give_away()
        repository.prepare()
        repository.run(command, listener=Listener(), limit_s=repository.manifest.limits.derived_s)
        job.leave_if_stopped()
    finally:
        repository.log.upload()
        remove_traces(repository.workspace.uid)


def _chosen(job: TrainerJob, checkpoint: ResumedCheckpoint) -> Chosen:
    model = checkpoint.manifest.model
    recorded = (model.model_extra or {}).get("repository") if model else None
    try:
        return Chosen(
            model_name=job.env.model_name or "",
            git=str(recorded["git"]),  # type: ignore[index]
            commit=str(recorded["commit"]),  # type: ignore[index]
            manifest_name=str(recorded["manifest_name"]),  # type: ignore[index]
            params={name: value for name, value in recorded["params"].items() if value is not None},  # type: ignore[index]
            # Whoever trained has accepted it.
            accept_license=True,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"MODEL_URI: {checkpoint.uri} does not say which repository it belongs to."
        ) from error
