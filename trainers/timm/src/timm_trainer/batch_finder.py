"""`auto_batch`: the largest batch that fits into the GPU's memory, found by trying."""

from __future__ import annotations

import torch
from torch import nn
from vision_trainer.run import TrainerJob

from .framework_errors import is_gpu_out_of_memory
from .learner import Learner
from .loader import Batch
from .model import ModelInput, build_model
from .plan import TrainingPlan
from .settings import TimmSettings
from .training_state import SavedState

# Evaluation, fragmentation and a larger last workspace need room too.
_MEMORY_SHARE = 0.85
_LARGEST = 4096


def chosen_batch_size(job: TrainerJob, plan: TrainingPlan, device: torch.device, saved: SavedState | None) -> int:
    """The batch size to train with: the job's, or the one that was found (kept when a training is resumed)."""
    if not plan.settings.auto_batch:
        return plan.batch_size
    if saved is not None:
        return saved.batch_size
    if device.type != "cuda":
        job.events.log("info", f"auto_batch has no effect on a CPU; the batch size stays {plan.batch_size}.")
        return plan.batch_size
    model = build_model(plan.model_name, len(plan.classes), plan.shape.size)
    limit = min(_LARGEST, max(2, len(plan.train_samples) // plan.world))
    found = largest_fitting_batch(model, plan.settings, plan.shape, device, limit) * plan.world
    job.events.log(
        "info",
        f"auto_batch: {found} images a step fit into the GPU memory ({plan.batch_size} were asked for); "
        "the learning rate stays as it is.",
    )
    return found


def largest_fitting_batch(
    model: nn.Module, settings: TimmSettings, shape: ModelInput, device: torch.device, limit: int
) -> int:
    """The largest power of two up to `limit` whose training step leaves some memory free; at least 1.

    The steps are made with a learning rate of 0 on black images; the model is thrown away afterwards.
    """
    learner = Learner(model, settings, shape, device, 0.0, None)
    # Batches are tried whole: an update in parts would fit always.
    learner.parts = 1
    learner.forbid_retries()
    size, fitting = 2, 1
    while size <= limit and _fits(learner, shape, device, size):
        fitting, size = size, size * 2
    if device.type == "cuda":
        del learner
        torch.cuda.empty_cache()
    return fitting


def _fits(learner: Learner, shape: ModelInput, device: torch.device, size: int) -> bool:
    images = torch.zeros((size, shape.size, shape.size, 3), dtype=torch.uint8)
    try:
        learner.update(Batch(images, torch.zeros(size, dtype=torch.int64), size), 0.0, 0)
    except Exception as error:
        if not is_gpu_out_of_memory(error):
            raise
        return False
    if device.type != "cuda":
        return True
    return (
        torch.cuda.max_memory_reserved(device) <= _MEMORY_SHARE * torch.cuda.get_device_properties(device).total_memory
    )
