"""Spectra of long recordings, with acoustic indices of every column and frequency (Towsey 2014).

A recording at its own rate is cut into frames of 512 samples under a Hann window, and these into columns of some
seconds; of 256 or 128 samples where eight of them are to fit a column of a short recording. Of each frequency in a
column:

    average   mean power in decibels; over all columns the long-term average spectrum
    aci       acoustic complexity: changes of the amplitude from frame to frame, over its sum (Pieretti 2011)
    entropy   1 less the temporal entropy of the energy: 0 where it is even, near 1 where it is in few frames
    events    rises of the energy, of three frames together, through 6 dB above its median in the column, per second

The last three, as red, green and blue, are a false-colour spectrogram: insects, birds and rain differ in colour.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.atomic_file import replacing
from soundloom.errors import AudioError, InvalidArgumentError

__all__ = ["FRAME", "LongSpectrum", "long_spectrum"]

FRAME, _SHORTEST_FRAME = 512, 128
"""Samples of a frame, and of the shortest."""

_LONGEST = 60.0
_FEWEST, _COLUMNS = 400, 1200
"""Columns of a recording; more of one that is longer than 20 hours."""

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
        return np.linspace(0, self.sample_rate / 2, self.average.shape[1])

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

    def write_records(self, path: str | os.PathLike[str]) -> None:
        """Write the indices of every column to a CSV.

        Raises:
            OSError: the file cannot be written.
        """
        rows = list(self.records())
        with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def long_spectrum(
    path: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
) -> LongSpectrum:
    """The spectrum of a recording over its length; little more than a column of it is in memory at a time.

    Args:
        path: the file.
        seconds: of a column; None: what eight frames take, or more or less, so that there are 400 to 1200 columns.
        options: how it is decoded; it is taken at its own speed.

    Raises:
        AudioError: it cannot be read.
        InvalidArgumentError: columns are shorter than eight frames of 128 samples.
    """
    options = replace(options, speed=1.0)
    about = audio.info(path, options=options)
    if about.sample_rate is None:
        raise AudioError(path, "its sample rate is not known")
    rate = about.sample_rate
    least = _FEWEST_FRAMES * _SHORTEST_FRAME / rate
    seconds = max(least, _fitting_seconds(about.duration, rate)) if seconds is None else seconds
    frame = FRAME
    while frame > _SHORTEST_FRAME and seconds * rate < _FEWEST_FRAMES * frame:
        frame //= 2
    frames = round(seconds * rate / frame)
    if frames < _FEWEST_FRAMES:
        raise InvalidArgumentError(
            f"columns of {seconds:g} s are {frames} frames of {frame} samples at {rate:g} Hz: take {least:.3g} s or "
            "more"
        )
    samples = 0

    def counted() -> Iterator[Float[np.ndarray, " samples"]]:
        nonlocal samples
        for block in audio.stream(path, round(rate), options=options):
            samples += len(block)
            yield block

    columns = [_indices(column, rate, frame) for column in _columns(counted(), frames * frame, _FEWEST_FRAMES * frame)]
    average, aci, entropy, events = (np.stack(each) for each in zip(*columns, strict=True))
    return LongSpectrum(frames * frame / rate, samples / rate, rate, average, aci, entropy, events)


def _fitting_seconds(duration: float | None, rate: float) -> float:
    """Seconds of a column of a recording of that length."""
    if duration is None:
        return _LONGEST
    usual = _FEWEST_FRAMES * FRAME / rate
    return min(_LONGEST, max(duration / _COLUMNS, min(usual, duration / _FEWEST)))


def _columns(
    blocks: Iterator[Float[np.ndarray, " samples"]], size: int, fewest: int
) -> Iterator[Float[np.ndarray, " samples"]]:
    """A sound in columns; a rest shorter than the fewest samples is left out, unless it is all there is."""
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
    if length >= fewest or (length and not some):
        rest = np.concatenate(held)
        yield np.pad(rest, (0, max(0, fewest - length)))


def _indices(samples: Float[np.ndarray, " samples"], rate: float, frame: int) -> tuple[Float[np.ndarray, " bins"], ...]:
    """Average, complexity, entropy and events of one column."""
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    window = np.hanning(frame)
    amplitude = np.abs(np.fft.rfft(frames * window, axis=1)) * 2 / window.sum()
    power = amplitude**2 / 2
    total = power.sum(axis=0)
    shares = power / np.maximum(total, _FLOOR)
    entropy = -(shares * np.log(np.maximum(shares, _FLOOR))).sum(axis=0) / np.log(len(frames))
    sums = np.cumsum(np.pad(power, ((1, 0), (0, 0))), axis=0)
    smoothed = np.maximum(sums[_SMOOTHED:] - sums[:-_SMOOTHED], _FLOOR)
    above = smoothed > np.median(smoothed, axis=0) * 10 ** (_RISE / 10)
    events = (above[1:] & ~above[:-1]).sum(axis=0) / (len(frames) * frame / rate)
    aci = np.abs(np.diff(amplitude, axis=0)).sum(axis=0) / np.maximum(amplitude.sum(axis=0), _FLOOR)
    average = 10 * np.log10(np.maximum(power.mean(axis=0), _FLOOR))
    return average, aci, np.clip(1 - entropy, 0, 1), events
