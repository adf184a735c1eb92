"""Audio fingerprint of signs of band-energy differences (Haitsma & Kalker 2002).

The method of "A highly robust audio fingerprinting system", with other bands and frames.
Log energies E of 25 bands between 150 and 3,400 Hz, in Hann windows of 128 ms every 16 ms at 8 kHz. Bit m of frame n is

    E[n, m] - E[n, m+1]  >  E[n-8, m] - E[n-8, m+1].

Neither gain, nor a fixed filter, nor codecs change the signs of large differences. The paper takes differences between
neighbouring frames; over eight frames they are larger, and fewer signs change where a copy begins between two frames.
A frame counts as active if it, or the one compared with it, is less than 50 dB below the loudest.

A fingerprint is an array of uint32: 24 bits of differences, and the highest bit of active frames.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, UInt32

__all__ = ["ACTIVE", "BITS", "SAMPLE_RATE", "fingerprint", "is_active"]

SAMPLE_RATE = 8000
BITS = 24
"""Of differences in each frame."""
ACTIVE = np.uint32(1 << 31)

_WINDOW, _HOP, _LAG = 1024, 128, 8
_LOWEST, _HIGHEST = 150.0, 3400.0
_QUIET = 1e-5
"""Energy of a frame that is not active, relative to the loudest: -50 dB."""
_FLOOR = 1e-10
"""Energy added to every band, so that digital silence has a logarithm: below the noise of 24 bits."""
_FRAMES = 4096
"""Frames that are transformed at a time."""


def fingerprint(blocks: Iterable[Float[np.ndarray, " samples"]]) -> UInt32[np.ndarray, " frames"]:
    """The fingerprint of a waveform.

    Args:
        blocks: the waveform at `SAMPLE_RATE`, block by block.
    """
    # Half a window of silence on both sides, so that the shortest sound has frames.
    waiting = [np.zeros(_WINDOW // 2, np.float32)]
    energies: list[Float[np.ndarray, "frames bands"]] = []
    size = waiting[0].size
    for block in _with_end(blocks):
        waiting.append(block)
        size += block.size
        if size >= _WINDOW + _FRAMES * _HOP:
            samples = np.concatenate(waiting)
            energies.append(_band_energies(samples))
            waiting = [samples[len(energies[-1]) * _HOP :]]
            size = waiting[0].size
    energies.append(_band_energies(np.concatenate(waiting)))
    return _signs(np.concatenate(energies))


def is_active(print_: UInt32[np.ndarray, " frames"]) -> Bool[np.ndarray, " frames"]:
    """Which frames of a fingerprint are active."""
    return np.asarray((print_ & ACTIVE) != 0)


def _with_end(blocks: Iterable[Float[np.ndarray, " samples"]]) -> Iterable[Float[np.ndarray, " samples"]]:
    yield from blocks
    yield np.zeros(_WINDOW // 2, np.float32)


def _band_energies(samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "frames bands"]:
    edges = np.round(np.geomspace(_LOWEST, _HIGHEST, BITS + 2) * _WINDOW / SAMPLE_RATE).astype(np.int64)
    count = max(0, (len(samples) - _WINDOW) // _HOP + 1)
    if not count:
        return np.zeros((0, BITS + 1))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP][:count]
    window = np.hanning(_WINDOW).astype(np.float32)
    return np.concatenate(
        [
            np.add.reduceat(np.abs(np.fft.rfft(some * window, axis=1)[:, : edges[-1]]) ** 2, edges[:-1], axis=1)
            for some in np.array_split(frames, -(-count // 512))
        ]
    )


def _signs(energies: Float[np.ndarray, "frames bands"]) -> UInt32[np.ndarray, " prints"]:
    total = energies.sum(axis=1)
    loud = total > _QUIET * total.max(initial=0.0)
    slopes = -np.diff(np.log(energies + _FLOOR), axis=1)
    signs = slopes[_LAG:] > slopes[:-_LAG]
    words = (signs @ (1 << np.arange(BITS))).astype(np.uint32)
    return np.where(loud[_LAG:] | loud[:-_LAG], words | ACTIVE, words)
