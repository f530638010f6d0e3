# SPDX-License-Identifier: AGPL-3.0-only
"""The training loop, to be read from top to bottom. Every process of a training runs `run`; rank 0 comes by `train`.

It stands in for the framework's `_do_train`, which keeps its place in local variables, writes half-precision pickles
and goes on to a final evaluation when it is told to stop.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import TrainingStopped
from vision_trainer.nvml import nvml_probe
from vision_trainer.ranks import Ranks
from vision_trainer.run import TrainerJob, TrainerOutcome

from .lead import Follower, Lead
from .learner import Learner, gpu_probe
from .measures import PRIMARY
from .plan import TrainingPlan, describe_plan, make_plan, make_trainer, use_threads
from .pretrained import load_pretrained
from .progress import Progress
from .resuming import describe_model, find_checkpoint, identity_of
from .sampling import seed_step
from .settings import UltralyticsSettings
from .team import Team, Wish, join_team
from .training_state import SavedState, read_state, restore, weights_of


def train(job: TrainerJob, settings: UltralyticsSettings, reader: DatasetReader, ranks: Ranks) -> TrainerOutcome:
    """Trains the model of the job on the dataset: resumes if told to, validates every epoch, leaves the artifacts.

    Raises TrainerFailure (see failures.py) and TrainingStopped once the last checkpoint is up.
    """
    plan = make_plan(job, settings, reader)
    use_threads(plan)
    identity = identity_of(job, settings, reader, describe_model(job, reader, plan.size))
    found, saved = find_checkpoint(job, settings, identity)
    if found is not None and saved is not None:
        plan = replace(plan.with_batch(saved.progress.batch_size), resume_folder=found.folder)
        _note_resume(job, plan, saved, found.uri)

    def fill(network: nn.Module) -> None:
        if settings.pretrained and saved is None:
            load_pretrained(job, network)

    trainer = make_trainer(plan, 0, fill)
    if settings.auto_batch and saved is None:
        _say_batch(job, settings, trainer)
        plan = plan.with_batch(trainer.batch_size)
    # The framework leaves lists of what it read beside the images: only now, so that nobody else writes them too.
    ranks.send(plan)
    if trainer.device.type == "cuda":
        used = range(plan.world) if plan.world > 1 else (trainer.device.index or 0,)
        job.heartbeat.gpu_probe = nvml_probe(tuple(used)) or gpu_probe(trainer.device)
    identity = replace(identity, model=describe_model(job, reader, plan.size, trainer.args))
    lead = Lead(job, plan, reader, identity, found, trainer.args.device)
    describe_plan(job, plan, trainer, _steps(plan, trainer))
    team = join_team(0, plan.world, trainer.device, plan.meeting_place)
    best = run(plan, team, lead, saved, trainer)
    return lead.finish(best or {})


def follow(rank: int, plan: TrainingPlan) -> None:
    """Rank 1 and above: the same loop without a voice."""
    use_threads(plan)
    trainer = make_trainer(plan, rank, lambda network: None)
    saved = read_state(plan.resume_folder) if plan.resume_folder else None
    team = join_team(rank, plan.world, trainer.device, plan.meeting_place)
    try:
        run(plan, team, Follower(), saved, trainer)
    except TrainingStopped:
        return


def run(
    plan: TrainingPlan, team: Team, lead: Follower, saved: SavedState | None, trainer: Any
) -> dict[str, Tensor] | None:
    """The loop. Returns the best weights (rank 0). Raises TrainingStopped after a stop, as `lead` decides."""
    settings, accumulation = plan.settings, plan.settings.grad_accumulation
    learner = Learner(trainer, lead.events, ema_decay=settings.ema_decay, clip_grad=settings.clip_grad, team=team)
    progress, best = Progress(batch_size=trainer.batch_size), None
    if saved is not None:
        restore(saved, learner)
        progress, best = saved.progress, saved.best
    for module in (trainer.model, learner.evaluated_model):
        team.take_from_first(module)
    epochs, steps = trainer.epochs, _steps(plan, trainer)
    lead.begin(learner, progress, steps)

    while progress.epoch < epochs and not _ran_out_of_patience(settings, progress):
        epoch, epoch_started = progress.epoch, time.monotonic()
        trainer.epoch = epoch
        trainer._model_train()
        trainer.train_loader.start(epoch, progress.step * accumulation)
        for group in _groups(trainer.train_loader, accumulation):
            learner.set_rates(epoch, progress.update, steps)
            seed_step(plan.seed, progress.update, team.rank)
            losses, images = learner.update(group)
            lead.note_step(losses, images)
            progress.step += 1
            progress.update += 1
            wish = team.agree(lead.wish(learner.rate))
            if wish is not Wish.GO_ON:
                lead.save(best, periodic=True)
            if wish is Wish.STOP:
                raise lead.leave()

        seconds = time.monotonic() - epoch_started
        figures = team.tell(lead.validate())
        if figures is None:
            # All steps of the epoch are done; a resume goes on with its evaluation.
            lead.save(best, periodic=True)
            raise lead.leave()
        lead.note_epoch(learner.rate, seconds, figures)
        learner.end_epoch()
        progress.epoch, progress.step = epoch + 1, 0
        score, loss = figures[PRIMARY[plan.task_type]], figures.get("val/loss")
        is_best = progress.note_evaluation(score or 0.0, float("inf") if loss is None else loss)
        if is_best and team.is_first:
            best = weights_of(learner.evaluated_model)
        lead.save(best, is_best=is_best)
        lead.show(last=progress.epoch == epochs)
        stop = team.agree(Wish.STOP if lead.stop_requested() else Wish.GO_ON) is Wish.STOP
        if stop and progress.epoch < epochs:
            raise lead.leave()

    trainer.train_loader.close()
    return best


def _steps(plan: TrainingPlan, trainer: Any) -> int:
    """Updates of the weights in an epoch."""
    return -(-len(trainer.train_loader) // plan.settings.grad_accumulation)


def _groups(batches: Any, size: int) -> Iterator[list[dict[str, Any]]]:
    """Batches in groups of `size`; the last one holds what is left."""
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _note_resume(job: TrainerJob, plan: TrainingPlan, saved: SavedState, uri: str) -> None:
    progress = saved.progress
    job.events.log(
        "info",
        f"Resumed at epoch {progress.epoch + 1}, step {progress.step} from {uri}: weights, averages, optimizer, "
        "generators and the place in the epoch, in full precision.",
    )
    if saved.world != plan.world:
        job.events.warning(
            "other_world_size",
            f"The checkpoint was made by {saved.world} processes and goes on with {plan.world}: not to the bit.",
        )


def _say_batch(job: TrainerJob, settings: UltralyticsSettings, trainer: Any) -> None:
    if trainer.device == torch.device("cpu"):
        text = f"auto_batch: on a CPU the batch size stays as it was set, {trainer.batch_size}."
    else:
        effective = trainer.batch_size * settings.grad_accumulation
        text = f"auto_batch: the batch size is {trainer.batch_size}, effective {effective}."
    job.events.log("info", text)


def _ran_out_of_patience(settings: UltralyticsSettings, progress: Progress) -> bool:
    return 0 < settings.early_stopping_patience <= progress.epochs_without_gain
