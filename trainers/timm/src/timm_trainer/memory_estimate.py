"""How much memory a training takes, estimated from the architecture alone."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

# Weights, gradients and AdamW's two moments in float32, and the averaged weights.
_BYTES_PER_PARAMETER = 4 + 4 + 8 + 4
# Mixed precision keeps activations for the backward pass in two bytes.
_BYTES_PER_ACTIVATION = 2
# The CUDA context, cuDNN's workspaces and what the allocator cannot use.
_FIXED_BYTES = 800 * 2**20


def training_memory_mb(name: str, batch_size: int) -> int:
    """MiB for training with AdamW, EMA and mixed precision at the model's own input size.

    The rule: 20 bytes a parameter + 2 bytes for each value that a layer without sub-layers puts out, for each image +
    800 MiB. Counted on the meta device: no memory, no time. An estimate, not a measurement.
    """
    cfg: Any = timm.get_pretrained_cfg(name)
    size = int(cfg.input_size[-1])
    values = 0

    def count(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal values
        if isinstance(output, Tensor):
            values += output.numel()

    with torch.device("meta"), torch.no_grad():
        model = timm.create_model(name).eval()
        leaves = [module for module in model.modules() if not list(module.children())]
        # A layer that hands its input on (Identity, dropout at rest) keeps nothing.
        hooks = [leaf.register_forward_hook(count) for leaf in leaves if not isinstance(leaf, nn.Identity | nn.Dropout)]
        model(torch.empty(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    total = parameters * _BYTES_PER_PARAMETER + values * batch_size * _BYTES_PER_ACTIVATION + _FIXED_BYTES
    return round(total / 2**20)
