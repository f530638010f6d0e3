"""Averaged weights: a second copy of the model that follows the first one slowly."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn


class AveragedModel:
    """Exponential moving average of all weights (Polyak averaging); buffers are copied as they are.

    The decay grows with the number of updates, min(decay, (1 + n) / (10 + n)), so that short trainings are not
    dominated by the random start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module = deepcopy(model).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, update: int) -> None:
        """Moves the average towards the model after update number `update` (from 0)."""
        decay = min(self._decay, (1 + update) / (10 + update))
        for averaged, current in zip(self.module.parameters(), model.parameters(), strict=True):
            averaged.lerp_(current.detach(), 1 - decay)
        for kept, own in zip(self.module.buffers(), model.buffers(), strict=True):
            kept.copy_(own)
