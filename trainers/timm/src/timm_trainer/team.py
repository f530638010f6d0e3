"""The processes of one training and what they tell each other. With a single process every call is free.

Gradients are averaged here and not by torch's DistributedDataParallel: its hooks start to communicate in the middle of
a backward pass, and a process that runs out of GPU memory there and takes the batch again in parts would leave the
others waiting for ever. After the backward passes one sum over one flat buffer does the same.
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

# A process that waits longer than this for the others gives up.
_PATIENCE = timedelta(minutes=10)


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
        """Whether this is the process that publishes and saves."""
        return self.rank == 0

    def agree(self, wish: Wish) -> Wish:
        """What rank 0 wishes, in all processes. On the CPU: the GPUs need not come to rest for it."""
        if self.world == 1:
            return wish
        told = torch.tensor(int(wish))
        torch.distributed.broadcast(told, 0, group=self._control)
        return Wish(int(told.item()))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its sum over the processes; all end with the same bits."""
        if self.world == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        torch.distributed.all_reduce(flat)
        summed = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, total in zip(gradients, summed, strict=True):
            gradient.copy_(total.view_as(gradient))

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a small tensor over the processes."""
        if self.world > 1:
            torch.distributed.all_reduce(value)
        return value

    def gather(self, value: Any) -> list[Any]:
        """The plain values of all processes, by rank, in every process."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(found, value, group=self._control)
        return found

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
