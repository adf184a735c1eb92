"""Cutting a sound, as it streams by, into segments of equal length.

The rule, for a sound of N samples, a window of W and a hop of H <= W samples. A sound not longer than the window
is one segment. A longer one is cut at 0, H, 2H, ... until a segment reaches the end:

    N = 22, W = 8, H = 8        N = 17, W = 8, H = 8        N = 17, W = 8, H = 4
    |------||------||----|      |------||-------|           |------||------|
    0       8       16   22     0       8       17              |------||---|
                                                            0   4   8   12  17

The last segment may be shorter than the window. Shorter than a quarter of it (the single sample left over in
the second picture), it would be mostly padding and its embedding mostly noise, so it joins the segment before it,
which then is up to a quarter longer than the window. No segment lies within another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from jaxtyping import Float32

from soundloom.errors import InvalidArgumentError

__all__ = ["AudioSegment", "segments"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AudioSegment:
    """A stretch of a sound.

    Attributes:
        start: seconds from the first sample of the stream.
        end: seconds from the first sample of the stream.
        samples: its waveform, an array of its own.
    """

    start: float
    end: float
    samples: Float32[np.ndarray, " samples"]


def segments(
    blocks: Iterable[Float32[np.ndarray, " samples"]],
    sample_rate: int,
    window: float | None = None,
    hop: float | None = None,
) -> Iterator[AudioSegment]:
    """Cut a stream of blocks into segments, holding little more than a window at a time.

    Args:
        blocks: a waveform in pieces, as :func:`soundloom.audio.stream` gives it.
        sample_rate: its rate in hertz.
        window: length of a segment in seconds; None: the whole stream is one segment.
        hop: seconds from one start to the next, at most the window; None: the window.

    Yields:
        Segments in order; none for a stream without samples.

    Raises:
        InvalidArgumentError: window or hop is shorter than a sample, or the hop is longer than the window.
    """
    size, step = _lengths(sample_rate, window, hop)
    # A segment at s is followed by another, and so is exactly one window long, if and only if the sound goes on
    # past it (N - s >= W + 1) and the next one would not be joined (N - s - H >= W / 4). Otherwise all that is
    # left of the sound from s on is the last segment, whichever of the two conditions fails.
    enough = max(size + 1, step + ceil(size / 4)) if size else inf
    begin, count = 0, 0
    pending: list[np.ndarray] = []
    for block in blocks:
        pending.append(block)
        count += len(block)
        if count < enough:
            continue
        held = np.concatenate(pending)
        while count >= enough:
            offset = len(held) - count
            yield _segment(begin, held[offset : offset + size].copy(), sample_rate)
            begin, count = begin + step, count - step
        pending = [held[len(held) - count :]]
    if count:
        yield _segment(begin, pending[0] if len(pending) == 1 else np.concatenate(pending), sample_rate)


def _segment(begin: int, samples: np.ndarray, sample_rate: int) -> AudioSegment:
    """A segment from its first sample on."""
    return AudioSegment(start=begin / sample_rate, end=(begin + len(samples)) / sample_rate, samples=samples)


def _lengths(sample_rate: int, window: float | None, hop: float | None) -> tuple[int, int]:
    """Window and hop in samples, 0 for none."""
    if window is None:
        if hop is not None:
            raise InvalidArgumentError(f"hop is {hop} s without a window: give a window too, or leave the hop out")
        return 0, 0
    hop = window if hop is None else hop
    size, step = round(window * sample_rate), round(hop * sample_rate)
    if not 1 <= step <= size:
        raise InvalidArgumentError(
            f"window {window} s and hop {hop} s are {size} and {step} samples at {sample_rate} Hz: the window must "
            "hold a sample or more, and the hop must lie between a sample and the window, lest sound go unheard"
        )
    return size, step
