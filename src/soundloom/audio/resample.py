"""Streaming resampling of decoded blocks to a target rate and region, with soxr.

Quality HQ: the pass band is flat to 0.913 of the lower Nyquist frequency and what lies above is at least
120 dB down. The ratio is fixed for a whole file.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd, log10, sqrt

import numpy as np
import soxr
from jaxtyping import Float32

from soundloom.audio.decoders.base import Decoder

__all__ = ["Energy", "converted", "resampled"]

# Half the length of soxr's filters, generously, in samples of the lower of the two rates.
PRE_ROLL = 1024
# The most samples that one block becomes: bounds memory where a file of a few hertz, or one played very slowly, is
# brought to a rate that is thousands of times as high. No usual pair of rates reaches it.
LARGEST_BLOCK = 1 << 22

SILENCE = -200.0
"""Decibels of full scale that stand for digital silence, and for all below."""


class Energy:
    """The energy of a signal whose blocks pass by, without its mean.

    Attributes:
        samples: how many were seen.
        total: the sum of their squares.
        peak: the largest magnitude.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.total = 0.0
        self.peak = 0.0
        self._sum = 0.0

    def add(self, block: Float32[np.ndarray, " samples"]) -> None:
        """Take the next samples."""
        self.samples += len(block)
        # einsum stays on one thread; a sum in single precision is exact enough for a comparison.
        self.total += float(np.einsum("i,i->", block, block))
        self._sum += float(block.sum())
        if len(block):
            self.peak = max(self.peak, float(block.max()), -float(block.min()))

    @property
    def decibels(self) -> tuple[float, float]:
        """Peak and root mean square in decibels of full scale, at least `SILENCE`."""
        rms = sqrt(self.total / self.samples) if self.samples else 0.0
        peak, rms = (max(SILENCE, 20 * log10(level)) if level > 0 else SILENCE for level in (self.peak, rms))
        return peak, rms

    @property
    def variance(self) -> float:
        """Mean square without the mean, which for a recording is an offset of the recorder and no sound."""
        return max(0.0, self.total / self.samples - (self._sum / self.samples) ** 2) if self.samples else 0.0


def resampled(
    decoder: Decoder, native: int, sample_rate: int, first: int, last: int | None, energy: Energy | None = None
) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Samples ``first`` up to ``last`` (None: the end) of the whole sound at ``sample_rate``.

    With native rate r and wanted rate s, output sample m lies at native sample m r / s. Let g = gcd(r, s): every
    r/g native samples an output sample falls exactly on a native one, namely every (s/g)-th. Decoding that begins
    at native sample k r/g therefore gives, from its output sample 0 on, the samples k s/g, k s/g + 1, ... of the
    whole sound, the same to rounding once the filter has filled. So choose the largest k that leaves ``PRE_ROLL``
    samples before the region, and drop what comes before ``first``; likewise decode ``PRE_ROLL`` past ``last``.

    Args:
        decoder: an open file, from which nothing was decoded yet unless it can go back.
        native: the rate that its samples are taken to have. Only the ratio of the two rates matters: a file that is
            played at another speed than its own has both multiplied until they are whole numbers.
        sample_rate: the rate wanted.
        first: position at ``sample_rate``, not negative.
        last: position at ``sample_rate``, after ``first``.
        energy: what measures the native blocks; None: nothing does.

    Yields:
        Fresh arrays, none empty. A sound too short for a single sample at the lower rate becomes one: its mean.
    """
    if native == sample_rate:
        yield from _measured(decoder.blocks(first, last), energy)
        return
    common = gcd(native, sample_rate)
    margin = ceil(PRE_ROLL * max(1, native / sample_rate))
    k = max(0, (first * native // sample_rate - margin) // (native // common))
    stop = None if last is None else ceil(last * native / sample_rate) + margin
    skipped = first - k * (sample_rate // common)
    left = None if last is None else last - first
    blocks = _measured(decoder.blocks(k * (native // common), stop), energy)
    for block in converted(blocks, native, sample_rate):
        wanted = block[skipped:] if left is None else block[skipped : skipped + left]
        skipped = max(0, skipped - len(block))
        if len(wanted):
            yield wanted
        if left is not None:
            left -= len(wanted)
            if left == 0:
                return


def _measured(
    blocks: Iterator[Float32[np.ndarray, " frames"]], energy: Energy | None
) -> Iterator[Float32[np.ndarray, " frames"]]:
    for block in blocks:
        if energy is not None:
            energy.add(block)
        yield block


def converted(
    blocks: Iterator[Float32[np.ndarray, " frames"]], native: int, sample_rate: int
) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Blocks at another rate; a sound that is too short for one sample there becomes its mean."""
    converter = soxr.ResampleStream(native, sample_rate, 1, dtype="float32", quality="HQ")
    step = max(1, LARGEST_BLOCK * native // sample_rate)
    taken = produced = 0
    for block in blocks:
        taken += len(block)
        for at in range(0, len(block), step):
            converted = converter.resample_chunk(block[at : at + step])
            produced += len(converted)
            yield converted
    # n native samples are round(n s / r) of ours, in whole numbers so that a region ends where the whole does. soxr
    # may come out one short, so it is fed a little silence more, which is what it assumes past the end anyway.
    length = (2 * taken * sample_rate + native) // (2 * native)
    rest = converter.resample_chunk(np.zeros(1 + ceil(native / sample_rate), np.float32), last=True)
    if length:
        yield rest[: length - produced]
    elif taken:
        yield block.mean(keepdims=True)
