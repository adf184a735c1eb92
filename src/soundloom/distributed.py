"""The processes of a distributed run: which one this is, a differentiable all-gather over all, and their end.

A loss that compares the examples of a batch with one another sees, on several devices, only its own share of them.
Gathered, each of R processes has the loss of its examples against all. With L = (1 / R) sum_r L_r and e_s the
embeddings of process s,

    dL / de_s = (1 / R) sum_r dL_r / de_s,

so the backward pass adds up what all processes say of e_s; the division by R is what data-parallel training does to
gradients anyway. The update is then that of one process with the whole batch (but for batch normalisation, whose
statistics stay each process's own).
"""

from __future__ import annotations

import os
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed

__all__ = ["all_gather", "leave_group", "rank_and_world_size"]


def rank_and_world_size() -> tuple[int, int]:
    """This process's number and how many there are: 0 of 1 where nothing is distributed."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def leave_group() -> None:
    """Go on as the only process where a distributed run is over, with all threads that its processes here shared."""
    world = rank_and_world_size()[1]
    if world > 1:
        distributed.destroy_process_group()
        torch.set_num_threads(min(torch.get_num_threads() * world, os.cpu_count() or 1))


def all_gather(values: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "gathered ..."]:
    """The values of all processes, in the order of the processes; as they are where nothing is distributed.

    Differentiable. Every process must come with the same shape.
    """
    if rank_and_world_size()[1] == 1:
        return values
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:  # noqa: ARG004 (torch's signature)
        pieces = [torch.empty_like(values) for _ in range(rank_and_world_size()[1])]
        distributed.all_gather(pieces, values.contiguous())
        return torch.cat(pieces)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Tensor:  # noqa: ARG004
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        rank, world = rank_and_world_size()
        mine: Tensor = total.chunk(world)[rank]
        return mine
