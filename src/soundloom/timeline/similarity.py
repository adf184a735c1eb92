"""Similarity of a recording to a sound, over time: cosines of overlapping windows that share their frames."""

from __future__ import annotations

import os

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.column_deviations import shared_deviations
from soundloom.detectors.background import standardised, unit_length
from soundloom.detectors.frame_windows import embed_stream
from soundloom.embedder import Embedder

__all__ = ["similarity_over_time"]

_SMALLEST = 1e-9
_WINDOW = 3.0


def similarity_over_time(
    path: str | os.PathLike[str],
    query: Float[np.ndarray, " dim"],
    model: Embedder,
    *,
    window: float | None = None,
    hop: float | None = None,
    options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
) -> tuple[Float[np.ndarray, " windows"], Float[np.ndarray, " windows"]]:
    """The middles of windows in seconds of the file, and how similar each is to a sound.

    Columns are standardised by the recording itself, as a search does by its library.

    Args:
        path: the recording.
        query: the sound's embedding.
        model: the embedder.
        window: seconds of the file that are compared at once; None: 3 s of the sound as the model takes it.
        hop: seconds from one window to the next; None: a third of the window.
        options: how the recording is decoded.

    Raises:
        AudioError: it cannot be read.
    """
    rate = model.sample_rate
    window = _WINDOW * options.speed if window is None else window
    hop = window / 3 if hop is None else hop
    size, step = (max(1, round(seconds * rate / options.speed)) for seconds in (window, hop))
    blocks = audio.stream(path, rate, options=options)
    found = list(embed_stream(model, blocks, origin=0, first=0, sizes=[size], step=step, count=None))
    rows = np.concatenate([vectors[0] for vectors, _ in found]).astype(np.float64)
    starts = np.arange(len(rows)) * step
    ends = np.minimum(starts + size, found[-1][1])
    mean, scale = rows.mean(axis=0), shared_deviations(rows.std(axis=0), model.parts, model.centred) + _SMALLEST
    vectors = unit_length(standardised(rows, mean, scale, model.parts, model.balance))
    wanted = unit_length(standardised(query[None].astype(np.float64), mean, scale, model.parts, model.balance))
    return (starts + ends) / 2 / rate * options.speed, vectors @ wanted[0]
