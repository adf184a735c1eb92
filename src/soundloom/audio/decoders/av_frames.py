"""Decoded frames of FFmpeg as planes of one rate and one number of channels.

Streams joined end to end may change both. A change of rate is resampled to the rate of the first frame, with soxr; a
change of channels is mixed, or repeated, to as many as the first frame has.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import soxr
from jaxtyping import Float32, Int64

__all__ = ["planes", "uniform_planes"]


def planes(frame: av.AudioFrame) -> Float32[np.ndarray, "channels frames"]:
    """The samples of a frame, a row for each channel; integers are scaled to [-1, 1]."""
    array = _wide_integers(frame) if frame.format.name in ("s64", "s64p") else frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(frame.samples, -1).T
    rows: np.ndarray = array.astype(np.float32, copy=False)
    if array.dtype.kind == "f":
        return rows
    rows = rows / np.float32(2 ** (8 * array.itemsize - 1))
    return rows - 1 if array.dtype.kind == "u" else rows


def _wide_integers(frame: av.AudioFrame) -> Int64[np.ndarray, "planes samples"]:
    """The samples of 64 bits in a frame, which PyAV 18 does not convert."""
    count = frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
    return np.stack([np.frombuffer(plane, np.int64, count) for plane in frame.planes])


def uniform_planes(
    frames: Iterator[av.AudioFrame], sample_rate: int, channels: int
) -> Iterator[Float32[np.ndarray, "channels frames"]]:
    """The samples of frames, all at one rate and with one number of channels.

    Args:
        frames: in order; those of another rate are resampled, stretch by stretch.
        sample_rate: hertz.
        channels: how many.
    """
    converter: _Converter | None = None
    for frame in frames:
        native = int(frame.sample_rate)
        if converter is not None and native != converter.native:
            yield converter.rest()
            converter = None
        rows = planes(frame)
        if len(rows) != channels:
            mean = rows.mean(axis=0, keepdims=True, dtype=np.float32)
            rows = np.repeat(mean, channels, axis=0)
        if native == sample_rate:
            yield rows
            continue
        if converter is None:
            converter = _Converter(native, sample_rate, channels)
        yield converter.next(rows)
    if converter is not None:
        yield converter.rest()


class _Converter:
    """One stretch at another rate: n samples of it become n s / r, rounded."""

    def __init__(self, native: int, sample_rate: int, channels: int) -> None:
        self.native, self._rate, self._channels = native, sample_rate, channels
        self._stream = soxr.ResampleStream(native, sample_rate, channels, dtype="float32", quality="HQ")
        self._taken = self._given = 0

    def next(self, rows: Float32[np.ndarray, "channels frames"]) -> Float32[np.ndarray, "channels samples"]:
        self._taken += rows.shape[1]
        interleaved = np.ascontiguousarray(rows.T)
        given: np.ndarray = self._stream.resample_chunk(interleaved if self._channels > 1 else interleaved[:, 0])
        self._given += len(given)
        return given.reshape(len(given), self._channels).T

    def rest(self) -> Float32[np.ndarray, "channels samples"]:
        """What the filter still holds."""
        shape = (2 + self.native // self._rate, self._channels) if self._channels > 1 else 2 + self.native // self._rate
        rest: np.ndarray = self._stream.resample_chunk(np.zeros(shape, np.float32), last=True)
        length = (2 * self._taken * self._rate + self.native) // (2 * self.native)
        rest = rest[: max(0, length - self._given)]
        return rest.reshape(len(rest), self._channels).T
