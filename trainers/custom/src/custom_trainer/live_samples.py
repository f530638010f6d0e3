"""A few validation images with what the newest weights say about them, by the repository's own predict command.

It runs beside the training, at the lowest priority, on copies: of the checkpoint, because the repository may replace
its file meanwhile, and of the images. What goes wrong with it is a line in the log and nothing else.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vision_trainer.contracts import DatasetSample, Prediction
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import TrainerFailure
from vision_trainer.images import sample_image
from vision_trainer.run import TrainerJob
from vision_trainer.samples import SamplePublisher

from .checkpoint_files import CheckpointFiles
from .confinement import Confined, end_tree
from .evaluate_job import prediction_fields
from .foreign_files import copy_foreign
from .outputs import read_predictions
from .predict_job import read_mask
from .repository_job import Repository
from .training_record import TrainingRecord

log = logging.getLogger(__name__)

_CLOSING_S = 5.0
_TICK_S = 0.05


@dataclass(slots=True)
class _Running:
    """A predict command under way."""

    confined: Confined
    output: IO[bytes]
    epoch: int
    step: int
    until: float


class LiveSamples:
    """`look` is called a few times a second while the training runs; it never waits for the predict command."""

    def __init__(self, job: TrainerJob, repository: Repository, reader: DatasetReader) -> None:
        self._job = job
        self._repository = repository
        self._reader = reader
        self._rules = repository.manifest.samples
        # The data was laid out with val, or where there is none with test.
        samples = reader.split("val") or reader.split("test")
        self._samples = samples[: self._rules.images]
        self._folder = repository.workspace.root / "samples"
        self._off = self._rules.when == "never" or not repository.has("predict") or not self._samples
        self._running: _Running | None = None
        self._waiting: tuple[int, int] | None = None
        self._not_before = 0.0
        self._publisher: SamplePublisher | None = None

    def note_checkpoint(self, epoch: int, step: int) -> None:
        """A checkpoint of that epoch was taken."""
        if self._rules.when == "checkpoint":
            self._waiting = (epoch, step)

    def look(self, files: CheckpointFiles, record: TrainingRecord) -> None:
        """Begins where something waits, ends what is done or has taken too long."""
        if self._off:
            return
        if self._running is not None:
            self._end_if_done()
        elif self._waiting is not None and time.monotonic() >= self._not_before and record.share < 1:
            (epoch, step), self._waiting = self._waiting, None
            found = files.newest()
            if found is not None:
                self._begin(found.path, epoch, step)

    def stop(self) -> None:
        """The training is over, one way or the other: ends what runs."""
        if self._running is not None:
            self._end()

    def show_last(self, files: CheckpointFiles, record: TrainingRecord, *, best: int) -> None:
        """After the training: with the weights that are best, from epoch `best`; takes `limit_s` at most."""
        path = files.weights()
        if self._off or path is None:
            return
        self._begin(path, best, record.step_of(best))
        while self._running is not None:
            if self._job.stop.stop_requested:
                self._end()
            else:
                self._end_if_done()
                time.sleep(_TICK_S)
        if self._publisher is not None:
            self._publisher.close(_CLOSING_S)

    def _begin(self, checkpoint: Path, epoch: int, step: int) -> None:
        repository, workspace = self._repository, self._repository.workspace
        try:
            images = self._lay_out()
            weights = self._copy(checkpoint)
            variables = {
                "checkpoint": weights,
                "checkpoint_stem": weights.with_suffix(""),
                "checkpoint_dir": weights.parent,
                "images": images,
                "images_json": images.with_suffix(".json"),
                "predictions": self._folder / "predictions.jsonl",
            }
            workspace.give_away([self._folder])
            output = (workspace.root / "samples-output").open("w+b")
            confined = repository.begin("predict", variables, write=[self._folder], output=output)
        except (OSError, TrainerFailure) as error:
            log.warning("no live samples: %s", error)
            self._not_before = time.monotonic() + self._rules.pause_s
            return
        self._running = _Running(confined, output, epoch, step, time.monotonic() + self._rules.limit_s)

    def _lay_out(self) -> Path:
        """An empty folder with the images and their list. Returns the images' folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        images = self._folder / "images"
        images.mkdir(parents=True)
        listed = []
        for number, sample in enumerate(self._samples):
            name = f"{number:06d}.png"
            sample_image(self._reader, sample).save(images / name, compress_level=1)
            listed.append({"file": name, "name": sample.id})
        images.with_suffix(".json").write_text(json.dumps(listed))
        return images

    def _copy(self, checkpoint: Path) -> Path:
        """A copy of the checkpoint, and of what belongs beside it, that nobody changes any more."""
        folder = self._folder / "checkpoint"
        folder.mkdir()
        output = self._repository.workspace.output
        for suffix in ("", *self._repository.manifest.checkpoints.beside):
            path = checkpoint.with_suffix(suffix) if suffix else checkpoint
            if path.is_file():
                copy_foreign(path, output, folder / path.name)
        return folder / checkpoint.name

    def _end_if_done(self) -> None:
        running = self._running
        if running is None:
            return
        done = running.confined.process.poll() is not None
        if done or time.monotonic() > running.until:
            self._end(show=done)

    def _end(self, *, show: bool = False) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        end_tree(running.confined)
        self._not_before = time.monotonic() + self._rules.pause_s
        with running.output as output:
            output.seek(0)
            said = output.read(1 << 16).decode(errors="replace").strip()
        code = running.confined.process.returncode
        if not show or code != 0:
            log.warning("live samples: predict %s: %s", f"ended with {code}" if show else "was ended", said[-500:])
            return
        try:
            self._publish(running.epoch, running.step)
        except (OSError, TrainerFailure) as error:
            log.warning("no live samples: %s", error)

    def _publish(self, epoch: int, step: int) -> None:
        classes = self._reader.classes
        found = read_predictions(self._folder / "predictions.jsonl", self._folder, len(classes))
        lines = {line.image: line for line in found}
        if self._publisher is None:
            points = self._reader.manifest.keypoints
            skeleton = [pair.root for pair in points.skeleton] if points else []
            self._publisher = SamplePublisher(self._job, self._rules.images, skeleton=skeleton)
        for number, sample in enumerate(self._samples):
            line = lines.get(f"{number:06d}.png")
            if line is None:
                continue
            image = sample_image(self._reader, sample)
            self._publisher.publish(
                epoch=epoch,
                step=step,
                sample_id=sample.id,
                image=image,
                prediction=Prediction.model_validate(prediction_fields(line, classes, sample.id, *image.size)),
                truth=describe_truth(sample, classes),
                mask=read_mask(line, self._folder, image),
            )


def describe_truth(sample: DatasetSample, classes: list[str]) -> str | None:
    """What the dataset says about a sample, in a line; None where a line cannot say it."""
    if sample.label is not None:
        return classes[sample.label]
    if sample.captions:
        return sample.captions[0]
    if sample.objects is None:
        return None
    counts: dict[str, int] = {}
    for entry in sample.objects:
        counts[classes[entry.category]] = counts.get(classes[entry.category], 0) + 1
    return ", ".join(f"{count} x {name}" for name, count in counts.items()) or "nothing"
