"""A training: data in, command on, progress and checkpoints out."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from vision_trainer.checkpoints import CheckpointIdentity, CheckpointStore, Snapshot, hash_config
from vision_trainer.dataset import DatasetReader, open_dataset, training_splits
from vision_trainer.failures import FailureCode, TrainerFailure, TrainingStopped
from vision_trainer.resume import ResumedCheckpoint, resume_checkpoint
from vision_trainer.run import TrainerJob, TrainerOutcome

from . import patterns
from .checkpoint_files import CheckpointFiles, Found, put_back, read_index
from .confinement import Confined, remove_traces, signal_program
from .foreign_files import copy_foreign
from .layout import default_split, write_data
from .live_samples import LiveSamples
from .pretrained import fetch_pretrained
from .program import Listener
from .progress_lines import Update
from .progress_sources import ProgressSources, known_metrics
from .repository_job import Chosen, Repository, address_of, open_repository
from .run_description import describe_run, settings_in_effect, upload_history
from .settings import RepositorySettings, TrainSettings, read_train_settings
from .templates import fill
from .training_record import Goal, TrainingRecord
from .training_state import place_checkpoint
from .workspace import dataset_variables, write_files

log = logging.getLogger(__name__)

# Kept back from the grace time for the last events and the process's end.
_FAREWELL_S = 3.0


def train(job: TrainerJob) -> TrainerOutcome:
    """The whole job. Raises TrainerFailure, and TrainingStopped once the last checkpoint is up."""
    env = job.env
    settings, params = read_train_settings(env.model_name or "", env.config)
    repository = open_repository(job, choose(env.model_name or "", settings, params))
    manifest = repository.manifest
    reader = open_dataset(job.storage, env.dataset_uri, job.cache_dir, task_type=env.task_type)
    train_samples, _ = training_splits(reader)
    task = manifest.tasks[env.task_type]  # type: ignore[index]
    variables = repository.variables
    variables |= dataset_variables(reader)
    variables |= write_data(reader, manifest.format_of(env.task_type), repository.workspace.data, default_split(reader))
    variables["pretrained"] = fetch_pretrained(job, repository.workspace)
    describe_run(job, repository, reader)

    identity = _identity(job, repository, reader)
    record = TrainingRecord(
        job.events, Goal(task.primary_metric, task.direction), env.epochs or 1, train_samples=len(train_samples)
    )
    resumed = _resume(job, repository, identity, record, allow_other=settings.resume_with_other_config)
    write_files(manifest, repository.workspace, variables)
    repository.workspace.give_away()
    store = CheckpointStore(job.storage, job.events, identity, env.output_uri, job.work_dir)
    if resumed is not None and resumed.uri.startswith(env.output_uri.rstrip("/") + "/"):
        store.adopt_pointers(resumed.pointers)
    training = Training(job, repository, reader, record, store, resuming=bool(variables["checkpoint"]))
    try:
        return training.run()
    finally:
        repository.log.upload()
        traces = remove_traces(repository.workspace.uid)
        if traces:
            job.events.warning("files_left", f"The repository left {', '.join(traces[:5])} behind; they were deleted.")


def choose(model_name: str, settings: TrainSettings, params: dict[str, object]) -> Chosen:
    """Which repository a training is about. Raises BAD_CONFIG."""
    if isinstance(settings, RepositorySettings):
        git, commit, name = settings.git_url or "", settings.commit, settings.manifest
    else:
        git, commit = address_of(model_name, settings.git_url, None)
        name = ""
    return Chosen(model_name, git, commit, name, dict(params), settings.accept_license)


class Training:
    """One run of the train or resume command, from its start to the last upload."""

    def __init__(
        self,
        job: TrainerJob,
        repository: Repository,
        reader: DatasetReader,
        record: TrainingRecord,
        store: CheckpointStore,
        *,
        resuming: bool,
    ) -> None:
        self._job = job
        self._repository = repository
        self._manifest = repository.manifest
        self._record = record
        self._store = store
        self._resuming = resuming
        self._sources = ProgressSources(self._manifest.progress, repository.variables)
        self._files = CheckpointFiles(self._manifest.checkpoints, repository.variables)
        self._saved_step = record.global_step if resuming else 0
        self._saved_best = record.best_epoch
        self._taken_epoch = record.epoch
        # SIGUSR1 asked for a checkpoint that the repository cannot be asked for.
        self._wanted = False
        self._complete_seen = self._manifest.complete.pattern is None
        self._started = time.monotonic()
        self._warned_progress = False
        self._samples = LiveSamples(job, repository, reader)
        self._no_primary = record.goal.metric not in known_metrics(self._manifest.progress)

    def run(self) -> TrainerOutcome:
        """Runs it. Raises TrainerFailure, TrainingStopped."""
        self._repository.prepare()
        # prepare may have written logs: what they say is no progress of the training.
        self._sources = ProgressSources(self._manifest.progress, self._repository.variables)
        self._job.events.phase("training")
        self._started = time.monotonic()
        listener = Listener(line=self._on_line, tick=self._on_tick, over=self._samples.stop)
        try:
            ending = self._repository.run("resume" if self._resuming else "train", listener=listener)
        except TrainerFailure:
            self._save_what_there_is()
            raise
        self._take(self._sources.read_files(last=True))
        self._save(now=True)
        if (ending.asked_to_stop and ending.code != 0) or (ending.asked_to_stop and not self._is_complete()):
            self._job.leave_if_replaced() if hasattr(self._job, "leave_if_replaced") else None
            raise self._stopped()
        if not self._is_complete():
            raise TrainerFailure(
                FailureCode.FRAMEWORK_ERROR,
                "The repository ended with exit code 0, but the sign of completion that its manifest names is missing.",
            )
        return self._finish()

    def _on_line(self, stream: str, line: str) -> None:
        if not self._complete_seen and patterns.compiled(self._manifest.complete.pattern or "").search(line):
            self._complete_seen = True
        self._take(self._sources.read_line(stream, line))

    def _on_tick(self, confined: Confined) -> bool:
        seen = self._take(self._sources.read_files())
        self._save()
        self._samples.look(self._files, self._record)
        self._warn_of_no_progress()
        if self._job.stop.take_checkpoint_request():
            if self._manifest.signals.checkpoint:
                signal_program(confined, signal.Signals[self._manifest.signals.checkpoint])
            else:
                self._job.events.log("info", "This repository cannot save on request; its newest checkpoint is taken.")
                self._wanted = True
        return seen

    def _take(self, updates: Iterable[Update]) -> bool:
        seen = False
        for update in updates:
            self._record.take(update)
            seen = True
        return seen

    def _save(self, *, now: bool = False) -> None:
        found = self._files.whole(now=now)
        if found is None and self._best_came_later(now=now):
            found = self._files.newest()
        if found is None and self._wanted:
            found = self._files.newest()
        if found is not None:
            self._wanted = False
            self._snapshot(found)

    def _best_came_later(self, *, now: bool) -> bool:
        """Whether the figure that makes the newest checkpoint the best one was told after the file had been taken."""
        record = self._record
        if not record.best_epoch or record.best_epoch == self._saved_best:
            return False
        if self._manifest.checkpoints.best:
            return self._files.best_changed(for_s=0 if now else self._manifest.checkpoints.stable_s)
        return self._taken_epoch == record.best_epoch

    def _snapshot(self, found: Found) -> None:
        record = self._record
        epoch = self._files.epoch_of(found) or record.epoch
        best = self._is_best(epoch)
        folder = self._store.new_folder()
        # Every snapshot has a number of its own, because its folder is named after it.
        step = max(record.step_of(epoch), self._saved_step + 1)
        state = record.state() | {"epoch": epoch, "global_step": record.step_of(epoch), "is_best": best}
        if not self._files.copy(found, folder, state):
            folder.rmdir()
            return
        self._saved_step, self._taken_epoch = step, epoch
        self._samples.note_checkpoint(epoch, step)
        if best:
            self._saved_best = record.best_epoch
        metrics = dict(record.history.get(epoch, {}))
        self._store.submit(Snapshot(folder, epoch, step, metrics, best=best, periodic=record.running > record.epoch))

    def _is_best(self, epoch: int) -> bool:
        """By the primary metric; where the repository prints none, by its own best file; else the newest is best.

        A repository that keeps a best file of its own is believed that it holds the epoch with the best figure.
        """
        own = bool(self._manifest.checkpoints.best)
        if self._no_primary:
            return self._files.best_changed() if own else True
        if self._record.best_epoch == self._saved_best:
            return False
        return self._files.best_changed() if own else epoch == self._record.best_epoch

    def _save_what_there_is(self) -> None:
        """The repository failed; what it saved before may still be worth resuming from."""
        try:
            self._save(now=True)
            self._store.finish(self._job.storage.patience_s)
        except TrainerFailure as failure:
            log.warning("%s", failure.message)

    def _warn_of_no_progress(self) -> None:
        if self._record.seen or self._warned_progress:
            return
        if time.monotonic() - self._started > self._manifest.limits.progress_s:
            self._warned_progress = True
            self._job.events.warning(
                "no_progress", "The repository runs, but nothing it wrote so far tells how far it is."
            )

    def _is_complete(self) -> bool:
        wanted = self._manifest.complete
        if wanted.file is not None and not Path(fill(wanted.file, self._repository.variables)).exists():
            return False
        return self._complete_seen

    def _stopped(self) -> TrainingStopped:
        job = self._job
        if job.stop.replaced:
            job.leave_if_stopped()
        job.events.phase("cancelling")
        uri = self._store.finish(max(1.0, job.stop.grace_left_s() - _FAREWELL_S))
        return TrainingStopped(job.stop.reason, uri or job.env.resume_uri)

    def _finish(self) -> TrainerOutcome:
        job, record = self._job, self._record
        job.events.phase("uploading")
        if not record.seen and not self._warned_progress:
            job.events.warning("no_progress", "The repository ended without a word about its progress.")
        uri = self._store.finish(job.storage.patience_s * 2)
        if uri is None:
            raise TrainerFailure(
                FailureCode.FRAMEWORK_ERROR,
                f"The repository ended, but left no checkpoint that fits {', '.join(self._manifest.checkpoints.last)}.",
            )
        if not self._saved_best:
            self._say_no_best()
        self._samples.show_last(self._files, record, best=self._saved_best or record.epoch)
        metrics = record.metrics_of(self._saved_best or record.epoch)
        self._upload_weights()
        self._repository.log.upload()
        upload_history(job, record, self._repository)
        job.result.write("succeeded", metrics)
        return TrainerOutcome(metrics)

    def _say_no_best(self) -> None:
        """No checkpoint is known to hold the best figures: best.json names the last one, or the repository's choice."""
        metric, by_default = self._record.goal.metric, self._store.ensure_best()
        if self._record.best_epoch:
            why = f"The checkpoint of the epoch with the best {metric} was gone before its figure was told"
        else:
            why = f"The repository never told {metric}"
        chosen = "its last checkpoint" if by_default else "the newest one, with the repository's own best file if any"
        self._job.events.warning("no_best", f"{why}; best.json names {chosen}.")

    def _upload_weights(self) -> None:
        """The best weights as an artifact of their own, in the repository's format."""
        path = self._files.weights()
        own_best = bool(self._manifest.checkpoints.best)
        if path is None or (not own_best and self._saved_best and self._saved_best != self._taken_epoch):
            # The best epoch's file is gone by now; its checkpoint in the storage is not.
            return
        copy = self._job.work_dir / f"weights{path.suffix}"
        copy_foreign(path, self._repository.workspace.output, copy)
        self._job.result.add_artifact(copy, copy.name)
        copy.unlink()


def _identity(job: TrainerJob, repository: Repository, reader: DatasetReader) -> CheckpointIdentity:
    env = job.env
    model = {
        "framework": env.framework,
        "model_name": env.model_name,
        "task_type": env.task_type,
        "repository": {
            **{key: value for key, value in asdict(repository.chosen).items() if key != "model_name"},
            "params": repository.params,
            "manifest_sha256": repository.manifest_sha256,
        },
        "batch_size": env.batch_size,
        "learning_rate": env.learning_rate,
        "epochs": env.epochs,
        "seed": env.seed,
    }
    versions = {**job.versions, repository.manifest.name: repository.chosen.commit}
    return CheckpointIdentity(
        env.job_id, env.attempt, hash_config(settings_in_effect(job, repository)), reader.classes, versions, model
    )


def _resume(
    job: TrainerJob,
    repository: Repository,
    identity: CheckpointIdentity,
    record: TrainingRecord,
    *,
    allow_other: bool,
) -> ResumedCheckpoint | None:
    """Puts a checkpoint's files back and fills the variables that tell where. None: it starts from the beginning."""
    uri = job.env.resume_uri
    if uri is None:
        return None
    folder = job.work_dir / "resume"

    def check(path: Path) -> None:
        read_index(path)

    found = resume_checkpoint(job.storage, uri, folder, identity, allow_other_config=allow_other, check=check)
    if found is None:
        if not uri.startswith(job.env.output_uri.rstrip("/") + "/"):
            raise TrainerFailure(FailureCode.MODEL_UNAVAILABLE, f"RESUME_URI: there is no whole checkpoint at {uri}.")
        job.events.warning("no_checkpoint", "There is no whole checkpoint of an earlier attempt; starting anew.")
        return None
    if not repository.has("resume"):
        job.events.warning("cannot_resume", f"{repository.manifest.name} cannot resume; starting from the beginning.")
        return None
    restored = put_back(folder, repository.workspace.output)
    place_checkpoint(repository, restored.last)
    record.continue_from(restored.state)
    job.events.log(
        "info",
        f"Resumed after epoch {record.epoch} from {found.uri}: {repository.manifest.checkpoints.equality}.",
    )
    return found
