# SPDX-License-Identifier: AGPL-3.0-only
"""The exported model in the place of the original, so that one validator measures both."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class OnnxNetwork(nn.Module):
    """Answers by onnxruntime, and holds every answer against the original's."""

    def __init__(self, session: Any, original: Any) -> None:
        super().__init__()
        self.names = original.names
        self.largest_difference = 0.0
        self.largest_value = 0.0
        self._session = session
        self._input = session.get_inputs()[0].name
        # In a list, so that it does not become a part of this module.
        self._original = [original]

    def forward(self, images: Tensor, augment: bool = False) -> list[Tensor]:
        """The raw outputs for a batch of images, by name: output0, and output1 for masks."""
        answers = [torch.from_numpy(item) for item in self._session.run(None, {self._input: images.cpu().numpy()})]
        for exported, original in zip(answers, raw_outputs(self._original[0](images)), strict=True):
            if exported.shape != original.shape:
                self.largest_difference = float("inf")
                continue
            difference = float((exported - original.float().cpu()).abs().max())
            # A difference that is no number must not get lost in a comparison.
            self.largest_difference = max(
                self.largest_difference, difference if math.isfinite(difference) else math.inf
            )
            self.largest_value = max(self.largest_value, float(original.abs().max()))
        return answers

    def loss(self, batch: Any, preds: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """None: an exported model has no loss."""
        return torch.zeros(()), {}


def raw_outputs(answer: Any) -> list[Tensor]:
    """The tensors an export of the model has as outputs, out of what the model answers when it is not trained."""
    first = answer[0] if isinstance(answer, (list, tuple)) else answer
    return list(first) if isinstance(first, (list, tuple)) else [first]
