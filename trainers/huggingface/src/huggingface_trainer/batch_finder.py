"""auto_batch: the largest batch that fits into the GPU's memory, found by trying."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from vision_trainer.run import TrainerJob

from .examples import ImageSource
from .framework_errors import is_gpu_out_of_memory
from .learner import Learner
from .loader import TrainingBatches
from .model_list import family_of
from .plan import TrainingPlan
from .team import Team

_LARGEST = 1024
# What the optimizer's state, fragments and unusual batches may still need.
_SHARE_OF_MEMORY = 0.8


def find_batch_size(
    job: TrainerJob, plan: TrainingPlan, device: torch.device, make: Callable[[], tuple[nn.Module, list[str]]]
) -> int:
    """The largest power of two (times the number of processes) whose real update stays within 80 % of the memory.

    On a CPU the job's own batch is kept. What was decided is said as a log event.
    """
    if device.type != "cuda":
        job.events.log("info", f"auto_batch: there is no GPU, the batch stays at {plan.batch_size} examples.")
        return plan.batch_size
    free, _ = torch.cuda.mem_get_info(device)
    fits = 1
    while (
        fits * 2 <= min(_LARGEST, plan.example_count)
        and _needs(plan, device, make, fits * 2) <= free * _SHARE_OF_MEMORY
    ):
        fits *= 2
    batch_size = fits * plan.world
    job.events.log(
        "info",
        f"auto_batch: {batch_size} examples fit into the GPU's memory (instead of {plan.batch_size}); the learning "
        "rate stays as it was given.",
    )
    return batch_size


def _needs(
    plan: TrainingPlan, device: torch.device, make: Callable[[], tuple[nn.Module, list[str]]], size: int
) -> float:
    """The highest memory in bytes of two updates with a batch of `size`; infinity when it does not fit."""
    task = plan.task
    source = ImageSource(plan.reader, plan.train_samples)
    batches = TrainingBatches(task, source, task.examples(plan.train_samples), plan.augmentation, plan.seed, pin=False)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    settings = plan.settings.model_copy(update={"grad_accumulation": 1})
    try:
        model, _ = make()
        learner = Learner(
            model, task, settings, Team(), device, plan.peak_lr, family_of(plan.spec).backbone, None, retries=0
        )
        batch = batches.make(0, list(range(size)))
        for update in range(2):
            learner.update(batch, size, 0.0, update)
        return float(torch.cuda.max_memory_allocated(device))
    except Exception as error:
        if is_gpu_out_of_memory(error):
            return float("inf")
        raise
    finally:
        learner = model = None  # type: ignore[assignment]
        torch.cuda.empty_cache()
