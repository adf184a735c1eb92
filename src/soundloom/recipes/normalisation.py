"""Normalisation of a front-end's bins to mean 0 and deviation 1 over the training windows.

A transformer adds positions of size 1 to its frames. Beside decibels they would drown, beside a network's averages
drown what they are added to; and each bin would learn at a rate of its own.

When not: binary peaks, whose zeros are to stay zeros.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int

from soundloom.embedder import Stream
from soundloom.errors import ModelError
from soundloom.objectives.base import WindowSampler
from soundloom.one_thread import one_thread

__all__ = ["standardise"]

MOST = 4096
"""Windows that are read: a hundred thousand frames are enough for a mean."""

# A bin that hardly moves is shifted, not blown up: half precision keeps three digits of it.
_LEAST = 1e-3


@torch.no_grad()
def standardise(stream: Stream, sampler: WindowSampler) -> None:
    """Set the learned normalisation of the stream's front-end from windows that it will be trained on.

    Args:
        stream: one whose front-end has a normalisation; its scale and shift are replaced.
        sampler: what the stream will be trained on.

    Raises:
        ModelError: the front-end has none.
    """
    frontend = stream.frontend.normalisation
    if frontend is None:
        raise ModelError(
            f"{stream.name}: a {type(stream.frontend).__name__} has no normalisation: wrap it in NormalisedFrontend"
        )
    frontend.scale.fill_(1)
    frontend.shift.fill_(0)
    chosen = _spread(len(sampler.clips), MOST)
    count, total, squares = 0, torch.zeros(frontend.bins).double(), torch.zeros(frontend.bins).double()
    # What a stream begins with must not depend on how many threads there are.
    with one_thread:
        for places in np.array_split(chosen, -(-len(chosen) // 256)):
            kept = sampler.dataset.take(sampler.clips[places], sampler.starts[places], sampler.size)
            values = sampler.dataset.form.representation(kept, stream).double()
            count += values.numel() // frontend.bins
            total += values.sum(dim=(0, 1, 3))
            squares += values.square().sum(dim=(0, 1, 3))
    mean = total / count
    deviation = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(_LEAST)
    frontend.scale.copy_(1 / deviation)
    frontend.shift.copy_(-mean / deviation)


def _spread(count: int, most: int) -> Int[np.ndarray, " chosen"]:
    """So many places at most, evenly spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
