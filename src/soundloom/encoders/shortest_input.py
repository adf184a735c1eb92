"""Shortest input of an encoder over raw samples, found by bisection; and the noise that encoders are tried on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["noise", "shortest_input"]


def noise(samples: int) -> Float[Tensor, "1 1 1 {samples}"]:
    """The same noise each time, as an encoder takes it."""
    return 0.1 * torch.randn(1, 1, 1, samples, generator=torch.Generator().manual_seed(0))


def shortest_input(takes: Callable[[int], bool], most: int) -> int:
    """The fewest samples that an encoder takes.

    Args:
        takes: whether it takes so many; if it does, it takes more, too.
        most: samples that it takes for certain.
    """
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if takes(middle) else (middle, high)
    return high
