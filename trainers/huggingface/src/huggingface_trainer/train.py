"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import TrainingStopped
from vision_trainer.loader import Loader
from vision_trainer.ranks import Ranks
from vision_trainer.run import TrainerJob, TrainerOutcome

from .batch_finder import find_batch_size
from .devices import choose_device, gpu_probe
from .examples import ImageSource
from .lead import Follower, Lead
from .learner import Learner
from .loader import EvaluationBatches, TrainingBatches
from .measuring import measure
from .model_list import family_of
from .models import build_model, config_from_dict, model_config
from .plan import TrainingPlan, describe_plan, make_plan
from .pretrained import load_pretrained
from .progress import Progress
from .resuming import find_checkpoint, identity_of
from .sampling import batches
from .settings import TrainSettings
from .team import Team, Wish, join_team
from .training_state import SavedState, read_rngs, read_state, restore, seed_everything, weights_of


def train(job: TrainerJob, settings: TrainSettings, reader: DatasetReader, ranks: Ranks) -> TrainerOutcome:
    """Trains the model of the job on the dataset: resumes if told to, validates every epoch, leaves the artifacts.

    Raises TrainerFailure (see failures.py) and TrainingStopped once the last checkpoint is up.
    """
    env = job.env
    device = choose_device(env.device, env.num_processes)
    plan = make_plan(job, settings, reader, device, pretrained=settings.pretrained and env.resume_uri is None)
    identity = identity_of(job, plan)
    found, saved = find_checkpoint(job, plan, identity)
    if saved is not None:
        data = replace(plan.data, tokens=saved.tokens)
        batch_size = saved.batch_size if settings.auto_batch else plan.batch_size
        plan = replace(plan, data=data, batch_size=batch_size, resume_folder=found.folder if found else None)
    elif settings.pretrained and plan.pretrained_folder is None:
        plan = make_plan(job, settings, reader, device, pretrained=True)
    if saved is None and settings.auto_batch:
        plan = replace(plan, batch_size=find_batch_size(job, plan, device, partial(make_model, plan)))
    ranks.send(plan)
    if device.type == "cuda":
        job.heartbeat.gpu_probe = gpu_probe(device)
    own = found is not None and found.uri.startswith(env.output_uri.rstrip("/") + "/")
    lead = Lead(job, plan, identity, found.pointers if found and own else {}, device)
    if found is not None and saved is not None:
        progress = saved.progress
        job.events.log("info", f"Resumed at epoch {progress.epoch + 1}, step {progress.step} from {found.uri}")
        if saved.world != plan.world:
            job.events.warning(
                "other_world_size",
                f"The checkpoint was made by {saved.world} processes and goes on with {plan.world}: not to the bit.",
            )
    use_threads(plan)
    describe_plan(job, plan, device)
    learner, best = run(plan, join_team(0, plan.world, device, plan.meeting_place), lead, saved, device)
    return lead.finish(learner, best or {})


def follow(rank: int, plan: TrainingPlan) -> None:
    """Rank 1 and above: the same loop without a voice."""
    device = choose_device(plan.device, plan.world, rank)
    use_threads(plan)
    saved = read_state(plan.resume_folder) if plan.resume_folder else None
    team = join_team(rank, plan.world, device, plan.meeting_place)
    try:
        run(plan, team, Follower(), saved, device)
    except TrainingStopped:
        return


def use_threads(plan: TrainingPlan) -> None:
    """The CPUs of this job, divided among its processes."""
    torch.set_num_threads(max(1, available_cpus() // plan.world))


def run(
    plan: TrainingPlan, team: Team, lead: Follower, saved: SavedState | None, device: torch.device
) -> tuple[Learner, dict[str, Tensor] | None]:
    """The loop. Returns the best weights (rank 0). Raises TrainingStopped after a stop, as `lead` decides."""
    settings, task, pin = plan.settings, plan.task, device.type == "cuda"
    learner = _make_learner(plan, team, lead, saved, device)
    progress, best = (saved.progress, _best_of(saved)) if saved else (Progress(), None)
    train_batches = TrainingBatches(
        task,
        ImageSource(plan.reader, plan.train_samples),
        task.examples(plan.train_samples),
        plan.augmentation,
        plan.seed,
        pin=pin,
    )
    val_batches = EvaluationBatches(
        task, ImageSource(plan.reader, plan.val_samples), task.examples(plan.val_samples), pin=pin
    )
    lead.begin(learner, progress)

    def save(*, best_is_current: bool = False, periodic: bool = False) -> None:
        """All processes give their random generators; the first one writes."""
        rngs = team.gather(read_rngs(device))
        lead.save(rngs, best, best_is_current=best_is_current, periodic=periodic)

    with Loader(plan.loader_threads) as loader:
        while progress.epoch < plan.epochs and not _ran_out_of_patience(settings, progress):
            epoch, epoch_started, done_before = progress.epoch, time.monotonic(), progress.step * plan.update_examples
            steps = batches(
                plan.seed, epoch, plan.example_count, plan.update_examples, progress.step, team.rank, team.world
            )
            for batch in loader.load(partial(train_batches.make, epoch), steps):
                lr = plan.rate_at(progress.update)
                total = min(plan.update_examples, plan.example_count - progress.step * plan.update_examples)
                loss = learner.update(batch, total, lr, progress.update)
                lead.note_step(loss, total)
                progress.step += 1
                progress.update += 1
                wish = team.agree(lead.wish(lr))
                if wish is not Wish.GO_ON:
                    save(periodic=True)
                if wish is Wish.STOP:
                    raise lead.leave()

            seconds = time.monotonic() - epoch_started
            own_outcomes = measure(
                learner.evaluated_model,
                task,
                val_batches(loader, team.rank, team.world),
                learner.preparation,
                lead.stop_requested,
                learner.precision,
            )
            shares = team.gather(own_outcomes)
            if any(share is None for share in shares):
                # All steps of the epoch are done; a resume goes on with its evaluation.
                save(periodic=True)
                raise lead.leave()
            outcomes = [outcome for share in shares for outcome in share]
            measured = task.summarise(outcomes)
            train_loss = lead.end_epoch()
            progress.epoch, progress.step = epoch + 1, 0
            is_best = progress.note_evaluation(measured.metrics[task.primary_metric], measured.metrics["val/loss"])
            if is_best and team.is_first:
                best = weights_of(learner.evaluated_model)
            train_values = {
                "train/loss": train_loss,
                "train/lr": plan.rate_at(progress.update - 1),
                "perf/samples_per_s": (plan.example_count - done_before) / max(seconds, 1e-9),
            }
            lead.note_epoch(measured, outcomes, train_values)
            save(best_is_current=is_best)
            stop = team.agree(Wish.STOP if lead.stop_requested() else Wish.GO_ON) is Wish.STOP
            if stop and progress.epoch < plan.epochs:
                raise lead.leave()
    return learner, best


def make_model(plan: TrainingPlan, saved: SavedState | None = None) -> tuple[nn.Module, list[str]]:
    """(the model with random or published weights, the parameters that start afresh); `saved` is loaded later."""
    if saved is not None:
        return build_model(plan.spec, config_from_dict(plan.spec, saved.config), plan.seed), []
    data = plan.data
    config = model_config(
        plan.spec,
        data.shape,
        data.classes,
        len(data.keypoints.names) if data.keypoints else 0,
        data.tokens.ids if data.tokens else None,
        plan.settings.dropout,
    )
    if plan.pretrained_folder is None:
        return build_model(plan.spec, config, plan.seed), []
    seed_everything(plan.seed)
    return load_pretrained(plan.pretrained_folder, plan.spec, config)


def _make_learner(
    plan: TrainingPlan, team: Team, lead: Follower, saved: SavedState | None, device: torch.device
) -> Learner:
    """The model with its weights of the start; the same in all processes."""
    model, fresh = make_model(plan, saved)
    if plan.pretrained_folder is not None and saved is None and lead.events is not None:
        lead.events.log("info", f"Pretrained weights taken; starting afresh: {', '.join(fresh[:20]) or 'nothing'}")
    model.to(device)
    team.take_from_first(model)
    learner = Learner(
        model, plan.task, plan.settings, team, device, plan.peak_lr, family_of(plan.spec).backbone, lead.events
    )
    # Each process drops out other units; without the rank all would draw the same.
    seed_everything(plan.seed + team.rank)
    if saved is not None:
        restore(saved, learner, team.rank)
    return learner


def _best_of(saved: SavedState) -> dict[str, Tensor] | None:
    """The best weights so far; where they are the current ones, they were not written twice."""
    if saved.best is not None or saved.progress.best_epoch == 0:
        return saved.best
    return saved.averaged or saved.weights


def _ran_out_of_patience(settings: TrainSettings, progress: Progress) -> bool:
    return 0 < settings.early_stopping_patience <= progress.epochs_without_gain
