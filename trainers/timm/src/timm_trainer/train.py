"""The training loop, to be read from top to bottom. Every process of a training runs `run`; rank 0 comes by `train`."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import DatasetReader
from vision_trainer.failures import TrainingStopped
from vision_trainer.loader import Loader
from vision_trainer.nvml import nvml_probe
from vision_trainer.ranks import Ranks
from vision_trainer.run import TrainerJob, TrainerOutcome

from .augmentation import augmentation_of
from .batch_finder import chosen_batch_size
from .evaluation import evaluate
from .images import MEMORY_BUDGET_BYTES, ImageSource
from .lead import Follower, Lead
from .learner import Learner, balanced_weights, gpu_probe
from .loader import EvaluationBatches, TrainingBatches
from .model import build_model, choose_device
from .plan import TrainingPlan, describe_plan, make_plan
from .pretrained import wants_hub
from .progress import Progress
from .resuming import find_checkpoint, identity_of
from .sampling import step_plans
from .settings import TimmSettings
from .team import Team, Wish, join_team
from .training_state import SavedState, read_rngs, read_state, restore, seed_everything, weights_of


def train(job: TrainerJob, settings: TimmSettings, reader: DatasetReader, ranks: Ranks) -> TrainerOutcome:
    """Trains the model of the job on the dataset: resumes if told to, validates every epoch, leaves the artifacts.

    Raises TrainerFailure (see failures.py) and TrainingStopped once the last checkpoint is up.
    """
    env = job.env
    device = choose_device(env.device, 0, env.num_processes)
    draft = make_plan(job, settings, reader, device)
    identity = identity_of(job, draft)
    found, saved = find_checkpoint(job, settings, identity)
    batch_size = chosen_batch_size(job, draft, device, saved)
    plan = replace(draft, batch_size=batch_size, resume_folder=found.folder if found else None)
    from_hub = saved is None and wants_hub(job, settings)
    ranks.send(plan)
    if device.type == "cuda":
        used = range(plan.world) if plan.world > 1 else (device.index or 0,)
        job.heartbeat.gpu_probe = nvml_probe(tuple(used)) or gpu_probe(device)
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
    prepare_device(plan, device)
    describe_plan(job, plan, device)
    best = run(plan, join_team(0, plan.world, device, plan.meeting_place), lead, saved, device, from_hub=from_hub)
    return lead.finish(best or {})


def follow(rank: int, plan: TrainingPlan) -> None:
    """Rank 1 and above: the same loop without a voice."""
    device = choose_device(plan.device, rank, plan.world)
    prepare_device(plan, device)
    saved = read_state(plan.resume_folder) if plan.resume_folder else None
    team = join_team(rank, plan.world, device, plan.meeting_place)
    try:
        run(plan, team, Follower(), saved, device, from_hub=False)
    except TrainingStopped:
        return


def prepare_device(plan: TrainingPlan, device: torch.device) -> None:
    """The CPUs of this job, divided among its processes; a GPU that gives the same bits for the same numbers."""
    torch.set_num_threads(max(1, available_cpus() // plan.world))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True


def run(
    plan: TrainingPlan, team: Team, lead: Follower, saved: SavedState | None, device: torch.device, *, from_hub: bool
) -> dict[str, Tensor] | None:
    """The loop. Returns the best weights (rank 0). Raises TrainingStopped after a stop, as `lead` decides."""
    settings, pin = plan.settings, device.type == "cuda"
    learner = _make_learner(plan, team, lead, saved, device, from_hub=from_hub)
    progress, best = (saved.progress, saved.best) if saved else (Progress(), None)
    train_batches = TrainingBatches(
        ImageSource(plan.reader, plan.train_samples),
        plan.shape.size,
        augmentation_of(settings),
        plan.seed,
        rank=team.rank,
        mixed_sizes=settings.mixed_sizes,
        pin=pin,
    )
    val_batches = EvaluationBatches(
        ImageSource(plan.reader, plan.val_samples),
        plan.shape.size,
        rank=team.rank,
        world=team.world,
        pin=pin,
        keep=len(plan.val_samples) * plan.shape.size**2 * 3 <= MEMORY_BUDGET_BYTES,
    )
    lead.begin(learner, progress)

    def save(*, best_is_current: bool = False, periodic: bool = False) -> None:
        """All processes give their random generators; the first one writes."""
        rngs = team.gather(read_rngs(device))
        lead.save(rngs, best, best_is_current=best_is_current, periodic=periodic)

    with Loader(plan.loader_threads) as loader:
        while progress.epoch < plan.epochs and not _ran_out_of_patience(settings, progress):
            epoch, epoch_started, images_before = progress.epoch, time.monotonic(), progress.step * plan.update_images
            learner.set_training()
            steps = step_plans(
                plan.seed, epoch, len(plan.train_samples), plan.update_images, progress.step, team.rank, team.world
            )
            for batch in loader.load(partial(train_batches.make, epoch), steps):
                lr = plan.rate_at(progress.update)
                loss = learner.update(batch, lr, progress.update)
                lead.note_step(loss, batch.total)
                progress.step += 1
                progress.update += 1
                wish = team.agree(lead.wish(lr))
                if wish is not Wish.GO_ON:
                    save(periodic=True)
                if wish is Wish.STOP:
                    raise lead.leave()

            seconds = time.monotonic() - epoch_started
            team.take_from_first(learner.evaluated_model)
            result = evaluate(
                learner.evaluated_model,
                val_batches(loader),
                val_batches.rounds,
                len(plan.classes),
                learner.normalise,
                learner.precision,
                device,
                team,
                lead.stop_requested,
            )
            if result is None:
                # All steps of the epoch are done; a resume goes on with its evaluation.
                save(periodic=True)
                raise lead.leave()
            train_loss = lead.end_epoch()
            progress.epoch, progress.step = epoch + 1, 0
            is_best = progress.note_evaluation(result.top1, result.loss, result.confusion)
            if is_best and team.is_first:
                best = weights_of(learner.evaluated_model)
            train_values = {
                "train/loss": train_loss,
                "train/lr": plan.rate_at(progress.update - 1),
                "perf/samples_per_s": (len(plan.train_samples) - images_before) / max(seconds, 1e-9),
            }
            lead.note_epoch(result, train_values)
            save(best_is_current=is_best)
            stop = team.agree(Wish.STOP if lead.stop_requested() else Wish.GO_ON) is Wish.STOP
            if stop and progress.epoch < plan.epochs:
                raise lead.leave()
    return best


def _make_learner(
    plan: TrainingPlan, team: Team, lead: Follower, saved: SavedState | None, device: torch.device, *, from_hub: bool
) -> Learner:
    """The model with its weights of the start: random, published, or the checkpoint's; the same in all processes."""
    settings = plan.settings
    seed_everything(plan.seed)
    model = build_model(
        plan.model_name,
        len(plan.classes),
        plan.shape.size,
        drop_rate=settings.drop_rate,
        drop_path_rate=settings.drop_path_rate,
        from_hub=from_hub,
    )
    if saved is None:
        lead.load_pretrained(model)
    model.to(device)
    team.take_from_first(model)
    weights = None
    if settings.class_weights == "balanced":
        weights = balanced_weights([sample.label or 0 for sample in plan.train_samples], len(plan.classes))
    learner = Learner(model, settings, plan.shape, device, plan.peak_lr, lead.events, team=team, class_weights=weights)
    # Each process drops out other units; without this line all would draw the same.
    seed_everything(plan.seed + team.rank)
    if saved is not None:
        restore(saved, learner, team.rank, team.world)
    return learner


def _ran_out_of_patience(settings: TimmSettings, progress: Progress) -> bool:
    return 0 < settings.early_stopping_patience <= progress.epochs_without_gain
