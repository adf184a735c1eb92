"""Constant-Q transform: bins evenly spaced in pitch, each with a window of as many periods.

Brown 1991 in the conventions of ``librosa.cqt`` (0.10 and later, its relative bandwidths): Hann filters of
unit absolute sum, centred frames, zeros beyond the waveform's ends, results scaled by the root of the
filter's length. Verma 2023, section 3.1 uses 80 bins from 40 Hz, 12 an octave, every 25 ms.

librosa works octave by octave on ever more decimated waveforms and drops filter coefficients (its
``sparsity``); here one Fourier transform of the whole waveform serves all bins, so that the two agree to a
correlation of 0.9995, not to rounding. With ``sparsity`` it is done as librosa does it
(`soundloom.frontends.octaves`). Magnitudes only: phases are not kept, and there is no inverse.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import Frontend, register_frontend
from soundloom.frontends.dft import inverse_dft, rows_of_rfft
from soundloom.frontends.octaves import Octave, filtered_octaves, octave_power, samples_reached

__all__ = ["ConstantQ", "ConstantQSettings"]

# Half the width of the band kept of each filter's spectrum, in units of 1 / (filter length): a Hann window has
# 3e-8 of its energy beyond. After a loud sound's end its echo through the cut is 104 dB weaker, or fainter.
REACH = 12
# Bins that share one range of rows.
GROUP = 20
# Frames of one Fourier transform at most; longer waveforms are cut into overlapping pieces.
LONGEST = 432
# Samples transformed at once, which bounds memory.
BLOCK = 1 << 22
# Filter spectra kept, one for each transform length met lately; 5 MB each at most with the default settings.
KEPT = 12


@dataclass(frozen=True, kw_only=True)
class ConstantQSettings:
    """The pitches of the bins, and the hop.

    Attributes:
        sample_rate: in hertz.
        hop_length: samples from one frame to the next.
        bins: how many.
        bins_per_octave: of them.
        fmin: the lowest bin's frequency in hertz.
        sparsity: librosa's: the share of each filter's spectrum, by absolute sum, that is left out, smallest values
            first, octave by octave on decimated waveforms; 0 leaves out nothing and decimates nothing.
    """

    sample_rate: int = 16000
    hop_length: int = 400
    bins: int = 80
    bins_per_octave: int = 12
    fmin: float = 40.0
    sparsity: float = 0.0

    def __post_init__(self) -> None:
        if min(self.hop_length, self.bins, self.bins_per_octave, self.fmin) <= 0:
            raise InvalidArgumentError(f"hop_length, bins, bins_per_octave and fmin must be above zero, got {self}")
        if not 0 <= self.sparsity < 1:
            raise InvalidArgumentError(f"sparsity is a share from 0 to below 1, got {self.sparsity}")
        # A Hann window's equivalent noise bandwidth is 1.5 / length; half of it lies above the centre.
        highest = float(self.frequencies[-1]) * (1 + 0.75 * self.bandwidth)
        if highest > self.sample_rate / 2:
            raise InvalidArgumentError(
                f"the highest of {self.bins} bins reaches {highest:.0f} Hz, above half the sample rate "
                f"{self.sample_rate}: ask for fewer bins or a lower fmin"
            )

    def __repr__(self) -> str:
        # Fingerprints count it: without sparsity it reads as it did before there was any.
        sparse = f", sparsity={self.sparsity}" if self.sparsity else ""
        return (
            f"ConstantQSettings(sample_rate={self.sample_rate}, hop_length={self.hop_length}, bins={self.bins}, "
            f"bins_per_octave={self.bins_per_octave}, fmin={self.fmin}{sparse})"
        )

    @property
    def frequencies(self) -> Float[Tensor, " bins"]:
        """Centre frequencies in hertz."""
        return self.fmin * 2 ** (torch.arange(self.bins, dtype=torch.float64) / self.bins_per_octave)

    @property
    def bandwidth(self) -> float:
        """Bandwidth relative to the centre frequency: (r^2 - 1) / (r^2 + 1) for neighbours at ratio r."""
        square = 4 ** (1 / self.bins_per_octave)
        return (square - 1) / (square + 1)

    @property
    def lengths(self) -> Float[Tensor, " bins"]:
        """Filter lengths in samples, fractional."""
        return self.sample_rate / (self.bandwidth * self.frequencies)


class Piece(NamedTuple):
    """How a waveform is cut for transformation: ``number`` pieces of ``keep`` frames, each transformed over ``period``.

    ``lead`` frames of a piece come before those it keeps.
    """

    number: int
    keep: int
    lead: int
    period: int


class Group(NamedTuple):
    """Neighbouring bins' spectra ``[period, bins, rows]``, zero outside the rows from ``first`` on."""

    first: int
    spectra: Tensor


@register_frontend("ConstantQ", settings=ConstantQSettings, presets={"constant-q": lambda: ConstantQ.verma()})
class ConstantQ(Frontend):
    """Constant-Q magnitudes ``[batch, 1, bins, time]``.

    A waveform gives samples // hop_length frames: librosa's without its last, centred on the waveform's end.
    """

    # The method. Let frame t be centred on sample h t (h the hop), and the waveform, with zeros behind it, fill a
    # period of N = h T samples. Filtering by H and keeping every h-th sample is, over the N-point spectrum Y,
    #
    #     c[t] = 1/N sum_f Y[f] H[f] exp(2 pi i f h t / N) = 1/N sum_f Y[f] H[f] exp(2 pi i f t / T),
    #
    # whose exponential does not change when f grows by T. So write f = r T + j, add up the rows r first, and a
    # transform of length T is left:
    #
    #     c[t] = 1/h IFFT_T( Z )[t],   Z[j] = sum_r Y[r T + j] H[r T + j].
    #
    # The half spectrum, viewed as [h/2, T], shows the rows; a row is 1/h of the sample rate wide whatever T is, and
    # a filter fills few. For each j the sum over rows is a small matrix product for all bins and waveforms at once.
    # Filters lie symmetrically about their centre, so that H is real: real and imaginary parts of Y are just columns.
    #
    # The product is a circular filter of period N. Zeros as long as half the longest filter, standing behind the
    # waveform, also stand before it, and so serve both ends.

    channels = 1
    exports_any_length = False
    longest = LONGEST

    def __init__(self, settings: ConstantQSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ConstantQSettings()
        self.sample_rate = self.settings.sample_rate
        self.hop = self.settings.hop_length / self.settings.sample_rate
        self.bins = self.settings.bins
        self.min_samples = self.settings.hop_length
        # Frames on either side of a frame that its longest filter reaches into.
        self.halo = math.ceil(float(self.settings.lengths[0]) / 2 / self.settings.hop_length)

    @classmethod
    def verma(cls, sparsity: float = 0.0) -> Self:
        """Verma 2023, section 3.1: 80 bins, 12 an octave from 40 Hz, every 25 ms at 16 kHz.

        Args:
            sparsity: see ``ConstantQSettings``; librosa's default, which the paper will have used, is 0.01.
        """
        return cls(ConstantQSettings(sparsity=sparsity))

    @property
    def local(self) -> ConstantQ | None:
        """The same in pieces of a second; None where filters are too long for these.

        A piece's rounding, and what its circular filters echo, is that of its loudest sound.
        """
        if self.settings.sparsity:  # frame by frame, on waveforms that were decimated by short filters
            reach = samples_reached(octaves_of(self.settings, torch.device("cpu")))
            return self if reach <= self.settings.sample_rate else None
        second = round(1 / self.hop)
        if 2 * self.halo > second:
            return None
        twin = copy(self)
        twin.longest = second + self.halo
        return twin

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """Magnitudes, the channel axis being 1."""
        # The floor keeps the root's derivative finite in silence.
        return self.power(waveforms).clamp_min(torch.finfo(torch.float32).tiny).sqrt().unsqueeze(1)

    def power(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch bins time"]:
        """Squared magnitudes.

        Raises:
            InvalidArgumentError: the waveforms are shorter than ``min_samples``.
        """
        self.check_length(waveforms)
        batch, samples = waveforms.shape
        frames = self.frames(samples)
        if self.settings.sparsity:
            return octave_power(waveforms, octaves_of(self.settings, waveforms.device), frames)
        piece = self._cut(frames)
        hop = self.settings.hop_length
        whole = ((piece.number - 1) * piece.keep + piece.period) * hop
        padded = functional.pad(waveforms, (piece.lead * hop, whole - piece.lead * hop - samples))
        pieces = padded.unfold(-1, piece.period * hop, piece.keep * hop).flatten(0, 1)
        groups = filter_groups(self.settings, piece.period, waveforms.device)
        kept = slice(piece.lead, piece.lead + piece.keep)
        some = max(1, BLOCK // pieces.shape[1])
        parts = [fold(part, groups, piece.period)[..., kept] for part in torch.split(pieces, some)]
        result = torch.unflatten(torch.cat(parts), 0, (batch, piece.number))
        return result.transpose(1, 2).flatten(2)[..., :frames]

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return samples // self.settings.hop_length

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.centred_times(frames)

    def _cut(self, frames: int) -> Piece:
        """Equal pieces with a period that the Fourier transform likes; alone, a piece needs no frames before it."""
        count = math.ceil(frames / (self.longest - 2 * self.halo))
        if frames + self.halo <= self.longest:
            count = 1
        keep = math.ceil(frames / count)
        lead = self.halo if count > 1 else 0
        return Piece(count, keep, lead, smooth(lead + keep + self.halo))


def fold(
    pieces: Float[Tensor, "batch samples"], groups: list[Group], period: int
) -> Float[Tensor, "batch bins {period}"]:
    """Squared magnitudes of the filtered, decimated pieces: the method described in ``ConstantQ``."""
    rows = max(group.first + group.spectra.shape[2] for group in groups)
    if torch.compiler.is_compiling():
        return fold_in_products(rows_of_rfft(pieces, rows, period).permute(2, 1, 0, 3), groups)
    spectrum = torch.unflatten(torch.fft.rfft(pieces)[:, : rows * period], 1, (rows, period))
    # [period, rows, batch x (re, im)], so that each of the period's products is one small matrix product.
    columns = torch.view_as_real(spectrum.permute(2, 1, 0).contiguous()).flatten(2)
    folded = torch.cat(
        [torch.bmm(spectra, columns[:, first : first + spectra.shape[2]]) for first, spectra in groups], dim=1
    )
    folded = torch.view_as_complex(torch.unflatten(folded, 2, (len(pieces), 2))).permute(2, 1, 0)
    squares = torch.view_as_real(torch.fft.ifft(folded)).square_()
    return squares[..., 0] + squares[..., 1]


def fold_in_products(
    spectrum: Float[Tensor, "period rows batch 2"], groups: list[Group]
) -> Float[Tensor, "batch bins period"]:
    """The same in matrix products of real numbers, as a recorded graph has it; the last axis is real and imaginary."""
    period, _, batch, _ = spectrum.shape
    columns = spectrum.flatten(2)
    folded = torch.cat(
        [torch.bmm(spectra, columns[:, first : first + spectra.shape[2]]) for first, spectra in groups], dim=1
    )
    bins = folded.shape[1]
    squares = inverse_dft(folded.reshape(period, bins * batch, 2)).square().sum(dim=-1)
    return squares.reshape(period, bins, batch).permute(2, 1, 0)


@lru_cache(maxsize=KEPT)
def filter_groups(settings: ConstantQSettings, period: int, device: torch.device) -> list[Group]:
    """The filters' spectra over ``hop_length x period`` points, by groups of bins, in rows of ``period`` points.

    They are shared by all front-ends of the same settings, and kept for the transform lengths met lately.
    """
    # A tensor made in inference mode could not take part in a later gradient.
    with torch.inference_mode(False):
        row_width = settings.sample_rate / settings.hop_length
        groups = []
        bins = zip(torch.split(settings.frequencies, GROUP), torch.split(settings.lengths, GROUP), strict=True)
        for frequencies, lengths in bins:
            reach = REACH * settings.sample_rate / lengths
            first = max(0, math.floor(float((frequencies - reach).min()) / row_width))
            last = min(settings.hop_length // 2, math.ceil(float((frequencies + reach).max()) / row_width))
            points = torch.arange(first * period, last * period, dtype=torch.float64) / (period * settings.hop_length)
            offsets = points - frequencies[:, None] / settings.sample_rate
            spectra = hann_spectrum(offsets, lengths[:, None]) / hann_spectrum(torch.zeros(1), lengths[:, None])
            spectra = spectra * lengths[:, None].sqrt() / settings.hop_length
            by_column = torch.unflatten(spectra, 1, (last - first, period)).permute(2, 0, 1)
            groups.append(Group(first, by_column.float().contiguous().to(device)))
    return groups


@lru_cache(maxsize=KEPT)
def octaves_of(settings: ConstantQSettings, device: torch.device) -> list[Octave]:
    """The filters with coefficients left out."""
    with torch.inference_mode(False):
        made = filtered_octaves(
            settings.frequencies / settings.sample_rate,
            settings.lengths,
            bins_per_octave=settings.bins_per_octave,
            hop=settings.hop_length,
            sparsity=settings.sparsity,
        )
        return [Octave(octave.hop, octave.spectra.to(device)) for octave in made]


def hann_spectrum(frequency: Tensor, length: Tensor) -> Tensor:
    """Fourier transform of cos(pi m / length)^2 over whole m, |m| <= length / 2, at frequencies in cycles a sample."""
    # cos^2 = 1/2 + 1/4 exp(2 pi i m / length) + 1/4 exp(-2 pi i m / length), each a shifted transform of a rectangle.
    samples = 2 * torch.floor(length / 2) + 1

    def rectangle(frequency: Tensor) -> Tensor:
        sine = torch.sin(math.pi * frequency)
        at_zero = sine.abs() < 1e-12
        ratio = torch.sin(math.pi * samples * frequency) / torch.where(at_zero, 1.0, sine)
        return torch.where(at_zero, samples, ratio)

    return rectangle(frequency) / 2 + (rectangle(frequency - 1 / length) + rectangle(frequency + 1 / length)) / 4


def smooth(least: int) -> int:
    """The smallest number from ``least`` on that has no prime factor above 5, which Fourier transforms like."""
    number = least
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1
