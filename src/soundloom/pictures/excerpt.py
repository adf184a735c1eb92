"""A stretch of sound, and how it looks: its outline, and its mel bands over time.

Made for the eye, and no front-end to embed from: as many columns as a picture has room for, however
long the sound, in decibels below the loudest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from soundloom.errors import InvalidArgumentError

__all__ = ["RANGE", "Excerpt", "mel", "mel_decibels", "outline"]

RANGE = 80.0
"""Decibels from the faintest that is shown to the loudest."""

_BANDS = 96


@dataclass(frozen=True, kw_only=True, eq=False)
class Excerpt:
    """A stretch of sound to be shown.

    Attributes:
        title: usually the file's name; shortened in the middle where it does not fit.
        samples: mono, of any level.
        sample_rate: hertz.
        start: where the stretch begins in its file, in seconds.
        end: where it ends.
        similarity: of the whole embedding to the query's, usually a cosine; None for the query itself.
        parts: the similarity of each part of a woven embedding.

    Raises:
        InvalidArgumentError: no samples, a rate that is not positive, or an end that is not after the start.
    """

    title: str
    samples: Float[NDArray[np.floating[Any]], " samples"]
    sample_rate: int
    start: float
    end: float
    similarity: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or not len(self.samples):
            raise InvalidArgumentError(f"{self.title!r}: mono samples are needed, got shape {self.samples.shape}")
        if self.sample_rate <= 0:
            raise InvalidArgumentError(f"{self.title!r}: sample_rate must be positive, got {self.sample_rate}")
        if not self.start < self.end:
            raise InvalidArgumentError(
                f"{self.title!r}: the end must come after the start, got {self.start} to {self.end} s"
            )


def mel(frequency: Any) -> Any:
    """O'Shaughnessy's mel scale: linear low down, logarithmic high up."""
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def mel_decibels(excerpt: Excerpt, top: float, columns: int) -> NDArray[np.float64]:
    """Mel bands by columns, in decibels below the loudest of them, no lower than the range."""
    samples, rate = np.nan_to_num(excerpt.samples.astype(np.float64)), excerpt.sample_rate
    # Windows of about 40 ms, of an eighth of the sound where that is shorter, but of 32 samples at least. A column is
    # a frame, or the mean of four where columns lie further apart than a window is long: a long sound is sampled.
    window = int(np.clip(len(samples) / 8, 32, 0.04 * rate + 32))
    apart = len(samples) / columns
    together = 1 if apart <= window else 4
    starts = np.unique(np.linspace(0, len(samples), columns * together, endpoint=False).astype(int))
    padded = np.pad(samples, window // 2 + 1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[starts]
    # Zeros make the bins finer than the narrowest band: some 10 Hz.
    size = 1 << max(window, rate // 10).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hanning(window), size)) ** 2

    # Triangles between neighbouring edges, each with weights that add up to 1.
    edges = 700.0 * np.expm1(np.linspace(0.0, mel(top), _BANDS + 2) / 1127.0)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.fft.rfftfreq(size, 1 / rate)
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    bands = (weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)) @ power.T
    bands = bands.reshape(_BANDS, -1, together).mean(2)

    loudest = bands.max() or 1.0
    decibels: NDArray[np.float64] = 10 * np.log10(np.maximum(bands / loudest, 10 ** (-RANGE / 10)))
    return decibels


def outline(excerpt: Excerpt, columns: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Times, and the lowest and highest sample around each: what a waveform looks like from afar."""
    samples = np.nan_to_num(excerpt.samples)
    starts = np.unique(np.linspace(0, len(samples), columns, endpoint=False).astype(int))
    times = excerpt.start + (excerpt.end - excerpt.start) * starts / len(samples)
    # Each stretch reaches to the first sample of the next, so that neighbouring stretches touch.
    ahead = samples[np.minimum(np.append(starts[1:], len(samples) - 1), len(samples) - 1)]
    lowest = np.minimum(np.minimum.reduceat(samples, starts), ahead)
    highest = np.maximum(np.maximum.reduceat(samples, starts), ahead)
    return times, lowest, highest
