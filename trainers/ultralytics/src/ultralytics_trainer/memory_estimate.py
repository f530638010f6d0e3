# SPDX-License-Identifier: AGPL-3.0-only
"""How much memory a training takes, estimated from the architecture alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .models import YoloModel, build_module

# Weights, gradients and AdamW's two moments in float32, the averaged weights, and the copy for mixed precision.
_BYTES_PER_PARAMETER = 4 + 4 + 8 + 4 + 2
# Mixed precision keeps in two bytes what is counted here in four.
_MIXED_PRECISION = 0.5
# Boxes are found as distributions over so many bins on each of four sides, at every place of three grids.
_BOX_VALUES = 4 * 16
_STRIDES = (8, 16, 32)
# The loss works in float32 with logits, probabilities, targets, their products and the gradients of these.
_LOSS_COPIES = 6
# The CUDA context, cuDNN's workspaces and what the allocator cannot use.
_FIXED_BYTES = 800 * 2**20


def training_memory_mb(model: YoloModel, classes: int, keypoints: int, batch_size: int) -> int:
    """MiB for training with AdamW, averaged weights and mixed precision at the model's own input size.

    The rule: 22 bytes a parameter + for each image half the bytes that autograd keeps of a forward pass in float32 +
    six float32 copies of the predictions at every place of the grids + 800 MiB. What autograd keeps is read from its
    own hooks in a pass on the meta device: no memory, no time. An estimate, not a measurement.
    """
    network = build_module(model, classes, keypoints).to("meta").train()
    parameters = list(network.parameters())
    kept: dict[int, tuple[Any, int]] = {}
    own = {parameter.untyped_storage()._cdata for parameter in parameters}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            # The storage is held, or its number would be given to another one.
            kept[storage._cdata] = (storage, storage.nbytes())
        return tensor

    size = model.input_size
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.empty(2, 3, size, size, device="meta"))
    activations = sum(nbytes for _, nbytes in kept.values()) / 2 * _MIXED_PRECISION
    places = 0 if model.task == "image_classification" else sum((size // stride) ** 2 for stride in _STRIDES)
    predictions = places * (_BOX_VALUES + classes) * 4 * _LOSS_COPIES
    count = sum(parameter.numel() for parameter in parameters)
    total: float = count * _BYTES_PER_PARAMETER + (activations + predictions) * batch_size + _FIXED_BYTES
    return round(total / 2**20)
