# SPDX-License-Identifier: AGPL-3.0-only
"""From DEVICE to the framework's word for it."""

from __future__ import annotations

import torch
from vision_trainer.failures import FailureCode, TrainerFailure


def framework_device(requested: str) -> str:
    """`cpu`, or the number of a GPU as text. Raises BAD_CONFIG for a GPU that is not there."""
    if requested == "auto":
        return "0" if torch.cuda.is_available() else "cpu"
    if requested == "cpu":
        return "cpu"
    number = int(requested.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"DEVICE: found {requested!r}, but this machine has {torch.cuda.device_count()} usable GPUs; "
            "expected cpu, auto or one of them.",
        )
    return str(number)
