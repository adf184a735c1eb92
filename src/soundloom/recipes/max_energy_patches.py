"""Maximum-energy patches of clips and the range of their bands: COALA's training data (Favory 2020, section 3.1).

"We create overlapping patches of T=96 feature vectors (2.2 s), using a step of 12 vectors for overlap. Then, we
select the T x F patch with the maximum energy [...] the associated tags will refer to salient events present in
regions of high energy." And "all the patches are scaled to values between 0 and 1": band by band, by the lowest and
the highest that the band has over the training patches.

Clips are taken for padded with silence to 10 s, as in the paper, so that a patch may hold a short sound's end.

What the paper calls energy its code computes as the sum of the log-mel spectrogram, in which soft bands count as much
as loud ones. That is the default; "energy" is the paper's word taken literally, the sum of squared magnitudes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import FeatureDataset
from soundloom.frontends import EnergyFrontend
from soundloom.one_thread import one_thread

__all__ = ["Loudness", "band_ranges", "loudest_starts", "shifted"]

Loudness = Literal["logarithm", "energy"]

_PADDED_SECONDS = 10.0
_AT_ONCE = 256


def loudest_starts(
    dataset: FeatureDataset, frontend: EnergyFrontend, *, size: int, step: int = 12, loudness: Loudness = "logarithm"
) -> Int[np.ndarray, " clips"]:
    """The first row of the loudest patch of every clip; the earliest of several, 0 for a clip that was not decoded.

    Args:
        dataset: the clips as mel energies.
        frontend: whose energies.
        size: rows of a patch.
        step: rows from one candidate to the next.
        loudness: what is summed: "logarithm" or "energy".
    """
    padded = frontend.frames(round(_PADDED_SECONDS * frontend.sample_rate))
    silent = float(_loudness(torch.zeros(1, frontend.bins), frontend, loudness))
    starts = np.zeros(len(dataset), np.int64)
    for clip, length in enumerate(dataset.lengths.tolist()):
        if not length:
            continue
        with one_thread:  # a clip is too little work for two to share
            rows = dataset.restore(dataset.take(np.array([clip]), np.array([0]), length))[0]
            sums = _loudness(rows, frontend, loudness).numpy()
        sums = np.concatenate([sums, np.full(max(0, padded - length, size - length), silent)])
        before = np.concatenate([[0.0], sums.cumsum()])
        candidates = np.arange(0, len(sums) - size + 1, step)
        starts[clip] = candidates[np.argmax(before[candidates + size] - before[candidates])]
    return starts


def shifted(
    starts: Int[np.ndarray, " clips"], lengths: Int[np.ndarray, " clips"], *, size: int, shift: int
) -> tuple[Int[np.ndarray, " clips"], Int[np.ndarray, " clips"]]:
    """The earliest row at which each clip's patch may begin, and how many rows later it may at the latest.

    A patch is moved by ``shift`` rows at most either way, and within its clip: never before it, and further beyond
    its end than the loudest patch already lies not at all.

    Args:
        starts: the first row of each clip's loudest patch.
        lengths: rows of each clip.
        size: rows of a patch.
        shift: how far a patch may be moved; 0 for not at all.
    """
    earliest = np.maximum(starts - shift, 0)
    latest = np.minimum(starts + shift, np.maximum(lengths - size, starts))
    return earliest, latest - earliest


def band_ranges(
    dataset: FeatureDataset,
    frontend: EnergyFrontend,
    clips: Int[np.ndarray, " patches"],
    starts: Int[np.ndarray, " patches"],
    size: int,
) -> tuple[Float[Tensor, " bins"], Float[Tensor, " bins"]]:
    """Factor and shift of each band that bring its log-mel over some patches to [0, 1]; a band that is constant to 0.

    Args:
        dataset: the clips as mel energies.
        frontend: whose energies.
        clips: the clip of each patch.
        starts: its first row.
        size: its rows.

    Raises:
        InvalidArgumentError: there are no patches.
    """
    if not len(clips):
        raise InvalidArgumentError("no patches to take the ranges of the bands from: was none of the clips decoded?")
    lowest = torch.full((frontend.bins,), torch.inf)
    highest = -lowest
    for batch in _batches(len(clips)):
        # The logarithm grows with the energies, so that the ranges are those of their extremes.
        energies = dataset.restore(dataset.take(clips[batch], starts[batch], size)).flatten(0, 1)
        lowest = torch.minimum(lowest, energies.amin(dim=0))
        highest = torch.maximum(highest, energies.amax(dim=0))
    low, high = frontend.compress(lowest), frontend.compress(highest)
    factor = 1 / torch.where(high > low, high - low, torch.ones(()))
    return factor, -low * factor


def _loudness(rows: Tensor, frontend: EnergyFrontend, loudness: Loudness) -> Float[Tensor, " rows"]:
    """The loudness of each row of energies, in float64."""
    if loudness == "logarithm":
        values = frontend.compress(rows)
    else:
        values = rows if frontend.energy_settings().get("power", 2) == 2 else rows.square()
    return values.sum(dim=1, dtype=torch.float64)


def _batches(count: int) -> Iterator[slice]:
    for first in range(0, count, _AT_ONCE):
        yield slice(first, first + _AT_ONCE)
