"""Faster dropout on the CPU: 16 random bits per element.

Drawing random numbers is most of the cost of dropout on the CPU, and a third of the training time of a small
transformer. Here one 64-bit draw serves four elements; the dropout probability is exact to 2^-17. On other devices
torch's own dropout is faster and is used.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Dropout", "dropout"]

_LEVELS = 1 << 16


def dropout(values: Float[Tensor, "*shape"], share: float) -> Float[Tensor, "*shape"]:
    """Zero each value with probability ``share`` and scale the others by 1 / (1 - share)."""
    if share == 0:
        return values
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return functional.dropout(values, share)
    count = values.numel()
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    # Four numbers from -2^15 to 2^15 - 1 in each draw, in the order in which the values lie in memory.
    order = torch.empty_like(values, device="meta").stride()
    numbers = draws.view(torch.int16)[:count].as_strided(values.shape, order)
    kept = (numbers >= round(share * _LEVELS) - _LEVELS // 2).to(values.dtype)
    return values * kept.mul_(1 / (1 - share))


class Dropout(nn.Dropout):
    """`dropout` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        """In training; otherwise the values as they are."""
        return dropout(input, self.p) if self.training else input
