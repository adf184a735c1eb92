"""Constant-Q transform octave by octave on decimated waveforms, with sparse filters, as librosa 0.10 computes it.

From the highest octave down, each is filtered at half the rate of the one above it as long as the hop is even. A
filter is multiplied with the spectrum of the frame, of which it is a power of two long enough for the octave's longest
filter; the smallest values of the filter's own spectrum are left out. What a waveform's sudden ends ring in a decimated
octave is cut off with it, so that faint peaks beside them are librosa's too.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

__all__ = ["Octave", "filtered_octaves", "octave_power", "samples_reached"]

_PASSBAND = 0.913
"""Of half the lower rate, as libsoxr's high quality has it; what is let through ends at 1."""
_KAISER = 12.26
"""Of the decimation filter's window: 120 dB of attenuation."""
_TAPS = 359
"""Of the decimation filter, which fall from 1 to 1e-6 over that band."""


class Octave(NamedTuple):
    """The filters of one octave: their half spectra ``[points / 2 + 1, bins]``, and the hop at the octave's rate."""

    hop: int
    spectra: Complex[Tensor, "frequency bins"]


def octave_power(
    waveforms: Float[Tensor, "batch samples"], octaves: list[Octave], frames: int
) -> Float[Tensor, "batch bins _frames"]:
    """Squared magnitudes of centred frames, lowest bin first."""
    parts: list[Tensor] = []
    hop = octaves[0].hop
    for octave in octaves:
        if octave.hop < hop:
            waveforms, hop = _half_the_rate(waveforms), octave.hop
        points = 2 * (len(octave.spectra) - 1)
        padded = functional.pad(waveforms, (points // 2, points // 2 + hop))
        spectrum = torch.fft.rfft(padded.unfold(-1, points, hop)[:, :frames])
        answer = torch.view_as_real(spectrum @ octave.spectra).square().sum(dim=-1)
        parts.insert(0, answer.transpose(1, 2))
    return torch.cat(parts, dim=1)


def samples_reached(octaves: list[Octave]) -> int:
    """How far before or after its centre a frame depends on the waveform, in samples."""
    divisors = [octaves[0].hop // octave.hop for octave in octaves]
    return max(
        divisor * (len(octave.spectra) - 1) + (divisor - 1) * (_TAPS // 2)
        for divisor, octave in zip(divisors, octaves, strict=True)
    )


def filtered_octaves(
    frequencies: Float[Tensor, " bins"],
    lengths: Float[Tensor, " bins"],
    *,
    bins_per_octave: int,
    hop: int,
    sparsity: float,
) -> list[Octave]:
    """The filters of all octaves, the highest first.

    Args:
        frequencies: of the bins, in cycles a sample.
        lengths: of their Hann windows, in samples; fractional.
        bins_per_octave: counted from the highest bin.
        hop: samples from one frame to the next.
        sparsity: the share of each filter's spectrum, by absolute sum, that is left out.
    """
    made, divisor = [], 1
    for last in range(len(frequencies), 0, -bins_per_octave):
        bins = range(max(0, last - bins_per_octave), last)
        points = 2 ** math.ceil(math.log2(float(lengths[bins[0]]) / divisor))
        spectra = torch.stack(
            [
                _sparse(
                    _filter_spectrum(float(frequencies[at]) * divisor, float(lengths[at]) / divisor, points), sparsity
                )
                for at in bins
            ],
            dim=1,
        )
        scale = lengths[bins[0] : last].sqrt() / points
        made.append(Octave(hop // divisor, (spectra * scale).to(torch.complex64)))
        if hop // divisor % 2 == 0:
            divisor *= 2
    return made


def _filter_spectrum(frequency: float, length: float, points: int) -> Complex[Tensor, " frequency"]:
    """The half spectrum of a filter of unit absolute sum, in the middle of so many points."""
    first, end = math.floor(-length / 2), math.floor(length / 2)
    count = end - first
    window = torch.sin(math.pi * torch.arange(count, dtype=torch.float64) / count).square()
    phases = 2 * math.pi * frequency * torch.arange(first, end, dtype=torch.float64)
    before = (points - count) // 2
    padded = functional.pad(torch.polar(window / window.sum(), phases), (before, points - count - before))
    spectrum: Tensor = torch.fft.fft(padded)
    return spectrum[: points // 2 + 1]


def _sparse(spectrum: Complex[Tensor, " frequency"], sparsity: float) -> Complex[Tensor, " frequency"]:
    """Without its smallest values, which make up a share of less than ``sparsity``."""
    magnitudes = spectrum.abs()
    ascending = magnitudes.sort().values
    least = ascending[int(((ascending / ascending.sum()).cumsum(0) < sparsity).sum())]
    return spectrum.where(magnitudes >= least, 0)


def _half_the_rate(waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch half"]:
    """Every second sample, of half the rate, zeros standing beyond both ends."""
    taps = _decimation_filter().to(waveforms)
    return functional.conv1d(waveforms[:, None], taps[None, None], stride=2, padding=_TAPS // 2)[:, 0]


@lru_cache(maxsize=1)
def _decimation_filter() -> Float[Tensor, " taps"]:
    """A low pass in a Kaiser window."""
    cutoff = (1 + _PASSBAND) / 4
    times = torch.arange(_TAPS, dtype=torch.float64) - _TAPS // 2
    window = torch.kaiser_window(_TAPS, periodic=False, beta=_KAISER, dtype=torch.float64)
    taps: Tensor = torch.sinc(cutoff * times) * window
    return taps / taps.sum()
