"""Spectra of long recordings, with acoustic indices of every column and frequency (Towsey 2014).

A recording at its own rate is cut into frames of 512 samples under a Hann window, and these into columns of some
seconds. Of each frequency in a column:

    average   mean power in decibels; over all columns the long-term average spectrum
    aci       acoustic complexity: changes of the amplitude from frame to frame, over its sum (Pieretti 2011)
    entropy   1 less the temporal entropy of the energy: 0 where it is even, near 1 where it is in few frames
    events    rises of the energy, of three frames together, through 6 dB above its median in the column, per second

The last three, as red, green and blue, are a false-colour spectrogram: insects, birds and rain differ in colour.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.errors import AudioError, InvalidArgumentError

__all__ = ["FRAME", "LongSpectrum", "long_spectrum"]

FRAME = 512
"""Samples of a frame."""

_COLUMNS = 1200
_FEWEST_FRAMES = 8
_RISE, _SMOOTHED = 6.0, 3
_FLOOR = 1e-12


@dataclass(frozen=True, eq=False)
class LongSpectrum:
    """A recording in columns of some seconds.

    Attributes:
        seconds: of a column; the last may be shorter.
        duration: of the recording, in seconds.
        sample_rate: of the file, in hertz.
        average: mean power in decibels of full scale.
        aci: acoustic complexity.
        entropy: 1 less the temporal entropy.
        events: per second.
    """

    seconds: float
    duration: float
    sample_rate: float
    average: Float[np.ndarray, "columns bins"]
    aci: Float[np.ndarray, "columns bins"]
    entropy: Float[np.ndarray, "columns bins"]
    events: Float[np.ndarray, "columns bins"]

    @property
    def frequencies(self) -> Float[np.ndarray, " bins"]:
        """Of the bins, in hertz."""
        return np.arange(self.average.shape[1]) * self.sample_rate / FRAME

    def mean_spectrum(self) -> Float[np.ndarray, " bins"]:
        """The long-term average spectrum, in decibels."""
        return np.asarray(10 * np.log10((10 ** (self.average / 10)).mean(axis=0)))

    def false_colours(self) -> Float[np.ndarray, "columns bins 3"]:
        """Acoustic complexity, entropy and events, each from its 2 % to its 98 % quantile, as red, green and blue."""
        colours = []
        for values in (self.aci, self.entropy, self.events):
            low, high = np.quantile(values, [0.02, 0.98])
            colours.append(np.clip((values - low) / max(high - low, _FLOOR), 0, 1))
        return np.stack(colours, axis=2)

    def records(self) -> Iterator[dict[str, float]]:
        """The indices of every column, means over the frequencies, as named values."""
        power = 10 ** (self.average / 10)
        shares = power / power.sum(axis=1, keepdims=True)
        spectral = -(shares * np.log(np.maximum(shares, _FLOOR))).sum(axis=1) / np.log(shares.shape[1])
        for column in range(len(power)):
            yield {
                "start": round(column * self.seconds, 3),
                "end": round(min(self.duration, (column + 1) * self.seconds), 3),
                "level": round(float(10 * np.log10(power[column].sum())), 2),
                "acoustic_complexity": round(float(self.aci[column].mean()), 4),
                "temporal_entropy": round(1 - float(self.entropy[column].mean()), 4),
                "spectral_entropy": round(float(spectral[column]), 4),
                "events_per_second": round(float(self.events[column].mean()), 4),
            }


def long_spectrum(
    path: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
) -> LongSpectrum:
    """The spectrum of a recording over its length; little more than a column of it is in memory at a time.

    Args:
        path: the file.
        seconds: of a column; None: 60 s, or less where the recording is shorter than 20 hours.
        options: how it is decoded; it is taken at its own speed.

    Raises:
        AudioError: it cannot be read.
        InvalidArgumentError: columns are shorter than eight frames.
    """
    about = audio.info(path, options=options)
    if about.sample_rate is None:
        raise AudioError(path, "its sample rate is not known")
    rate = about.sample_rate
    if seconds is None:
        seconds = 60.0 if about.duration is None else min(60.0, about.duration / _COLUMNS)
        seconds = max(seconds, 2 * _FEWEST_FRAMES * FRAME / rate)
    frames = round(seconds * rate / FRAME)
    if frames < _FEWEST_FRAMES:
        raise InvalidArgumentError(
            f"columns of {seconds:g} s are {frames} frames of {FRAME} samples at {rate:g} Hz: take "
            f"{_FEWEST_FRAMES * FRAME / rate:.3g} s or more"
        )
    samples = 0

    def counted() -> Iterator[Float[np.ndarray, " samples"]]:
        nonlocal samples
        for block in audio.stream(path, round(rate), options=options):
            samples += len(block)
            yield block

    columns = [_indices(column, rate) for column in _columns(counted(), frames * FRAME)]
    average, aci, entropy, events = (np.stack(each) for each in zip(*columns, strict=True))
    return LongSpectrum(frames * FRAME / rate, samples / rate, rate, average, aci, entropy, events)


def _columns(blocks: Iterator[Float[np.ndarray, " samples"]], size: int) -> Iterator[Float[np.ndarray, " samples"]]:
    """A sound in columns; a rest shorter than the fewest frames is left out, unless it is all there is."""
    held: list[np.ndarray] = []
    length, some = 0, False
    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= size:
            whole = np.concatenate(held)
            for first in range(0, length - size + 1, size):
                yield whole[first : first + size]
                some = True
            held, length = [whole[length // size * size :].copy()], length % size
    if length >= _FEWEST_FRAMES * FRAME or (length and not some):
        rest = np.concatenate(held)
        yield np.pad(rest, (0, max(0, _FEWEST_FRAMES * FRAME - length)))


def _indices(samples: Float[np.ndarray, " samples"], rate: float) -> tuple[Float[np.ndarray, " bins"], ...]:
    """Average, complexity, entropy and events of one column."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    window = np.hanning(FRAME)
    amplitude = np.abs(np.fft.rfft(frames * window, axis=1)) * 2 / window.sum()
    power = amplitude**2 / 2
    total = power.sum(axis=0)
    shares = power / np.maximum(total, _FLOOR)
    entropy = -(shares * np.log(np.maximum(shares, _FLOOR))).sum(axis=0) / np.log(len(frames))
    sums = np.cumsum(np.pad(power, ((1, 0), (0, 0))), axis=0)
    smoothed = np.maximum(sums[_SMOOTHED:] - sums[:-_SMOOTHED], _FLOOR)
    above = smoothed > np.median(smoothed, axis=0) * 10 ** (_RISE / 10)
    events = (above[1:] & ~above[:-1]).sum(axis=0) / (len(frames) * FRAME / rate)
    aci = np.abs(np.diff(amplitude, axis=0)).sum(axis=0) / np.maximum(amplitude.sum(axis=0), _FLOOR)
    average = 10 * np.log10(np.maximum(power.mean(axis=0), _FLOOR))
    return average, aci, np.clip(1 - entropy, 0, 1), events
