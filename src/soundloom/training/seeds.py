"""Seeding of torch from (seed, phase, step, rank), so that a resumed run draws the same random numbers.

Torch's generators are seeded before every step; the caller's random state is restored afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["seeded", "set_seed"]


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Draw from these numbers inside; outside, torch's generators go on as if nothing had been drawn.

    >>> with seeded(0, 7):
    ...     first = torch.rand(3)
    >>> with seeded(0, 7):
    ...     print(torch.equal(torch.rand(3), first))
    True
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        set_seed(*key)
        yield


def set_seed(*key: int) -> None:
    """Seed torch's generators, on every device, from numbers of 0 or more: a seed, a step, a process."""
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
