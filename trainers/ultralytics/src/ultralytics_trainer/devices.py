# SPDX-License-Identifier: AGPL-3.0-only
"""From DEVICE to the framework's word for it."""

from __future__ import annotations

import torch
from vision_trainer.failures import FailureCode, TrainerFailure


def framework_device(requested: str, rank: int = 0, world: int = 1) -> str:
    """`cpu`, or the number of a GPU as text: with several processes on GPUs, each has the one of its rank.

    Raises BAD_CONFIG for GPUs that are not there.
    """
    present = torch.cuda.device_count()
    if requested == "cpu" or (requested == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if world > max(1, present):
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"NUM_PROCESSES: found {world}, expected at most the number of GPUs, of which {present} are visible.",
        )
    number = rank if world > 1 or requested == "auto" else int(requested.partition(":")[2] or 0)
    if number >= present:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"DEVICE: found {requested!r}, but this machine has {present} usable GPUs; "
            "expected cpu, auto or one of them.",
        )
    return str(number)
