# SPDX-License-Identifier: AGPL-3.0-only
"""The processes of one training and what they tell each other. With a single process every call is free.

Gradients are summed here and not by torch's DistributedDataParallel: its hooks start to communicate in the middle of a
backward pass, and a process that runs out of GPU memory there and takes the batch again in parts would leave the others
waiting for ever. After the backward passes one sum over one flat buffer does the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# The others wait while the first process validates alone; that a process died is noticed by its parent, not by this.
_PATIENCE = timedelta(hours=3)


class Wish(IntEnum):
    """What the first process wants all to do after a step."""

    GO_ON = 0
    SAVE = 1
    STOP = 2


class Team:
    """`world` processes on one host; `rank` 0 is the one that talks to the platform."""

    def __init__(self, rank: int = 0, world: int = 1, control: Any = None) -> None:
        self.rank = rank
        self.world = world
        self._control = control

    @property
    def is_first(self) -> bool:
        """Whether this is the process that publishes, validates and saves."""
        return self.rank == 0

    def agree(self, wish: Wish) -> Wish:
        """What rank 0 wishes, in all processes. On the CPU: the GPUs need not come to rest for it."""
        if self.world == 1:
            return wish
        told = torch.tensor(int(wish))
        torch.distributed.broadcast(told, 0, group=self._control)
        return Wish(int(told.item()))

    def tell(self, value: Any) -> Any:
        """The plain value that rank 0 brings, in all processes."""
        if self.world == 1:
            return value
        carried = [value]
        torch.distributed.broadcast_object_list(carried, 0, group=self._control)
        return carried[0]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its sum over the processes; all end with the same bits."""
        if self.world == 1:
            return
        learned = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in learned]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        torch.distributed.all_reduce(flat)
        summed = torch.split(flat, [gradient.numel() for gradient in gradients])
        for parameter, gradient, total in zip(learned, gradients, summed, strict=True):
            parameter.grad = gradient.copy_(total.view_as(gradient))

    def sum_losses(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums of small numbers of the same names over the processes."""
        if self.world == 1:
            return losses
        flat = torch.stack(list(losses.values()))
        torch.distributed.all_reduce(flat)
        return dict(zip(losses, flat.unbind(), strict=True))

    def take_from_first(self, model: nn.Module) -> None:
        """Gives every process the weights and buffers of rank 0."""
        if self.world > 1:
            with torch.no_grad():
                for tensor in model.state_dict().values():
                    torch.distributed.broadcast(tensor, 0)


def join_team(rank: int, world: int, device: torch.device, meeting_place: Path) -> Team:
    """Meets the other processes by way of a file. NCCL between GPUs, gloo between CPUs."""
    if world == 1:
        return Team()
    # One host: the loopback interface is enough, and needs no name resolution.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    on_gpu = device.type == "cuda"
    torch.distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=f"file://{meeting_place}",
        rank=rank,
        world_size=world,
        timeout=_PATIENCE,
        device_id=device if on_gpu else None,
    )
    control = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE) if on_gpu else None
    return Team(rank, world, control)
