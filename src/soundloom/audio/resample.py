"""From native blocks to the blocks of a region at the rate asked for, with soxr.

Quality HQ: the pass band is flat to 0.913 of the lower Nyquist frequency and what lies above is at least
120 dB down. Not for changing pitch or speed: the ratio is fixed for a whole file.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd

import numpy as np
import soxr
from jaxtyping import Float32

from soundloom.audio.decoder import Decoder

__all__ = ["resampled"]

# Half the length of soxr's filters, generously, in samples of the lower of the two rates.
PRE_ROLL = 1024


def resampled(
    decoder: Decoder, sample_rate: int, first: int, last: int | None
) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Samples ``first`` up to ``last`` (None: the end) of the whole sound at ``sample_rate``.

    With native rate r and wanted rate s, output sample m lies at native sample m r / s. Let g = gcd(r, s): every
    r/g native samples an output sample falls exactly on a native one, namely every (s/g)-th. Decoding that begins
    at native sample k r/g therefore gives, from its output sample 0 on, the samples k s/g, k s/g + 1, ... of the
    whole sound, the same to rounding once the filter has filled. So choose the largest k that leaves ``PRE_ROLL``
    samples before the region, and drop what comes before ``first``; likewise decode ``PRE_ROLL`` past ``last``.

    Args:
        decoder: an open file, from which nothing was decoded yet.
        sample_rate: hertz.
        first: position at ``sample_rate``, not negative.
        last: position at ``sample_rate``, after ``first``.

    Yields:
        Fresh arrays, none empty. A sound too short for a single sample at the lower rate becomes one: its mean.
    """
    native = decoder.sample_rate
    if native == sample_rate:
        yield from decoder.blocks(first, last)
        return
    common = gcd(native, sample_rate)
    margin = ceil(PRE_ROLL * max(1, native / sample_rate))
    k = max(0, (first * native // sample_rate - margin) // (native // common))
    stop = None if last is None else ceil(last * native / sample_rate) + margin
    skipped = first - k * (sample_rate // common)
    left = None if last is None else last - first
    for block in _converted(decoder.blocks(k * (native // common), stop), native, sample_rate):
        wanted = block[skipped:] if left is None else block[skipped : skipped + left]
        skipped = max(0, skipped - len(block))
        if len(wanted):
            yield wanted
        if left is not None:
            left -= len(wanted)
            if left == 0:
                return


def _converted(
    blocks: Iterator[Float32[np.ndarray, " frames"]], native: int, sample_rate: int
) -> Iterator[Float32[np.ndarray, " samples"]]:
    """Blocks at another rate; a sound that is too short for one sample there becomes its mean."""
    converter = soxr.ResampleStream(native, sample_rate, 1, dtype="float32", quality="HQ")
    heard = produced = 0
    for block in blocks:
        heard += len(block)
        converted = converter.resample_chunk(block)
        produced += len(converted)
        yield converted
    # n native samples are round(n s / r) of ours, in whole numbers so that a region ends where the whole does. soxr
    # may come out one short, so it is fed a little silence more, which is what it assumes past the end anyway.
    length = (2 * heard * sample_rate + native) // (2 * native)
    rest = converter.resample_chunk(np.zeros(1 + ceil(native / sample_rate), np.float32), last=True)
    if length:
        yield rest[: length - produced]
    elif heard:
        yield block.mean(keepdims=True)
