"""A front-end's ranges, taken from what is trained on: every bin to mean 0 and deviation 1.

A transformer adds positions of size 1 to its frames. Beside decibels they would drown, beside a network's averages
drown what they are added to; and each bin would learn at a rate of its own.

When not: binary peaks, whose zeros are to stay zeros.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Int

from soundloom.embedder import Stream, one_thread
from soundloom.errors import ModelError
from soundloom.feature_cache import FeatureDataset
from soundloom.frontends import NormalisedFrontend
from soundloom.objectives.windows import representation

__all__ = ["Windowed", "standardise"]

MOST = 4096
"""Windows that are looked at: a hundred thousand frames tell a mean well enough."""

# A bin that hardly moves is shifted, not blown up: half precision keeps three digits of it.
_LEAST = 1e-3


class Windowed(Protocol):
    """What draws windows, of which it is asked where they lie."""

    @property
    def dataset(self) -> FeatureDataset:
        """Where the windows' rows are."""

    @property
    def clips(self) -> Int[np.ndarray, " windows"]:
        """The clip of each window."""

    @property
    def starts(self) -> Int[np.ndarray, " windows"]:
        """The first row of each window."""

    @property
    def size(self) -> int:
        """Rows of a window."""


@torch.no_grad()
def standardise(stream: Stream, draw: Windowed) -> None:
    """Set the ranges of the stream's front-end by windows that it will be trained on.

    Args:
        stream: one whose front-end is `NormalisedFrontend`; its ranges are replaced.
        draw: what it will be trained on.

    Raises:
        ModelError: the front-end has no ranges.
    """
    frontend = stream.frontend
    if not isinstance(frontend, NormalisedFrontend):
        raise ModelError(
            f"{stream.name}: a {type(frontend).__name__} has no ranges to set: wrap it in NormalisedFrontend"
        )
    frontend.scale.fill_(1)
    frontend.shift.fill_(0)
    chosen = _spread(len(draw.clips), MOST)
    count, total, squares = 0, torch.zeros(frontend.bins).double(), torch.zeros(frontend.bins).double()
    # What a stream begins with must not depend on how many threads there are.
    with one_thread:
        for places in np.array_split(chosen, -(-len(chosen) // 256)):
            kept = draw.dataset.take(draw.clips[places], draw.starts[places], draw.size)
            values = representation(kept, draw.dataset.form, stream).double()
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
