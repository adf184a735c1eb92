"""Mel-frequency cepstral coefficients, the timbre front-end (Verma 2023; Favory 2020).

Davis and Mermelstein 1980, in librosa's conventions: Slaney mel power in decibels, cut 80 dB below the
waveform's loudest band, then the orthonormal discrete cosine transform (type II) over bands.

Verma 2023, section 3.2: 13 coefficients every 25 ms, the first (loudness) thrown away.
Favory 2020, section 3.1: 20 coefficients with their first and second differences.

The cut depends on the waveform's loudest frame, so that frames of a longer waveform can differ from those
of its pieces; where that matters give the pieces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import Frontend, register_frontend
from soundloom.frontends.mel import LogMel, LogMelSettings

__all__ = ["MFCC", "MFCCSettings", "cosine_transform", "differences"]

DIFFERENCE_WIDTH = 9

Ends = Literal["interp", "nearest"]


@dataclass(frozen=True, kw_only=True)
class MFCCSettings:
    """How cepstral coefficients are taken.

    Attributes:
        sample_rate: in hertz.
        coefficients: how many are computed, counting the first.
        hop_length: samples from one frame to the next.
        n_fft: points of the Fourier transform and samples under its Hann window.
        bands: mel bands from 0 hertz to half the sample rate.
        skip_first: leave out coefficient 0, which follows loudness.
        with_differences: stack first and second differences over time below the coefficients.
        whole_hops: drop librosa's last frame, centred on the waveform's end, so that there are samples // hop_length.
        top_db: decibels below the waveform's loudest band and frame at which energies are cut.
        difference_width: frames that a difference is fitted to; odd, three or more.
        difference_ends: "interp", the outermost fit for the frames beyond it, or "nearest", the outermost frames
            repeated outwards, as librosa's ``mode``.
    """

    sample_rate: int
    coefficients: int
    hop_length: int
    n_fft: int = 2048
    bands: int = 128
    skip_first: bool = False
    with_differences: bool = False
    whole_hops: bool = False
    top_db: float = 80.0
    difference_width: int = field(default=DIFFERENCE_WIDTH, repr=False)
    difference_ends: Ends = field(default="interp", repr=False)

    def __post_init__(self) -> None:
        if self.difference_width < 3 or self.difference_width % 2 == 0:
            raise InvalidArgumentError(f"difference_width is odd, three or more, got {self.difference_width}")
        if self.difference_ends not in ("interp", "nearest"):
            raise InvalidArgumentError(f"difference_ends is 'interp' or 'nearest', got {self.difference_ends!r}")
        if not self.skip_first < self.coefficients <= self.bands:
            raise InvalidArgumentError(
                f"coefficients must lie between {1 + self.skip_first} and the {self.bands} bands, "
                f"got {self.coefficients}"
            )


@register_frontend(
    "MFCC",
    settings=MFCCSettings,
    presets={
        "mfcc-verma": lambda: MFCC.verma(),
        "mfcc-coala": lambda: MFCC.coala(),
        "mfcc-coala-22k": lambda: MFCC.coala(22000),
        "mfcc-favory": lambda: MFCC.favory(),
    },
)
class MFCC(Frontend):
    """Cepstral coefficients ``[batch, 1, coefficients, time]``."""

    channels = 1
    cosines: Tensor

    def __init__(self, settings: MFCCSettings) -> None:
        super().__init__()
        self.settings = settings
        self.mel = LogMel(
            LogMelSettings(
                sample_rate=settings.sample_rate,
                n_fft=settings.n_fft,
                win_length=settings.n_fft,
                hop_length=settings.hop_length,
                bins=settings.bands,
                fmin=0,
                fmax=settings.sample_rate / 2,
                padding="zeros",
                logarithm="decibel",
                floor=1e-10,
            )
        )
        cosines = cosine_transform(settings.coefficients, settings.bands)[int(settings.skip_first) :]
        self.register_buffer("cosines", cosines.float(), persistent=False)
        self.sample_rate = settings.sample_rate
        self.hop = settings.hop_length / settings.sample_rate
        self.bins = len(cosines) * (3 if settings.with_differences else 1)
        self.min_samples = settings.hop_length if settings.whole_hops else 1

    @classmethod
    def verma(cls) -> Self:
        """Verma 2023, section 3.2: coefficients 1 to 12 every 25 ms at 16 kHz, 12 x 40 for a second."""
        return cls(MFCCSettings(sample_rate=16000, coefficients=13, hop_length=400, skip_first=True, whole_hops=True))

    @classmethod
    def coala(cls, sample_rate: int = 16000) -> Self:
        """Favory 2020, section 3.1: 20 coefficients with first and second differences, 60 rows, librosa's defaults.

        Args:
            sample_rate: 16,000 Hz stands beside the other front-ends; the paper's sounds are at 22,000 Hz.
        """
        return cls(MFCCSettings(sample_rate=sample_rate, coefficients=20, hop_length=512, with_differences=True))

    @classmethod
    def favory(cls) -> Self:
        """The published code of Favory 2020: at 22,000 Hz, differences over five frames, end frames repeated."""
        settings = cls.coala(22000).settings
        return cls(replace(settings, difference_width=5, difference_ends="nearest"))

    def extra_repr(self) -> str:
        """The settings; of the differences only where they are not librosa's defaults."""
        # So fingerprints stay what they were before there was a choice.
        width, ends = self.settings.difference_width, self.settings.difference_ends
        chosen = "" if (width, ends) == (DIFFERENCE_WIDTH, "interp") else f", differences={width} {ends}"
        return f"{self.settings!r}{chosen}"

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """Cepstral coefficients, the channel axis being 1."""
        self.check_length(waveforms)
        return self.cepstrum(self.mel.energies(waveforms), self.frames(waveforms.shape[-1])).unsqueeze(1)

    def cepstrum(self, energies: Float[Tensor, "batch bands time"], frames: int) -> Float[Tensor, "batch bins _frames"]:
        """Coefficients of the first so many frames of a waveform, from the mel energies of all."""
        decibels = self.mel.compress(energies)
        # librosa cuts against all frames, the one that whole_hops drops among them.
        loudest = decibels.amax(dim=(1, 2), keepdim=True)
        decibels = torch.maximum(decibels, loudest - self.settings.top_db)
        coefficients = self.cosines @ decibels[..., :frames]
        if self.settings.with_differences:
            width, ends = self.settings.difference_width, self.settings.difference_ends
            fitted = [differences(coefficients, order=order, width=width, ends=ends) for order in (1, 2)]
            coefficients = torch.cat([coefficients, *fitted], dim=1)
        return coefficients

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return samples // self.settings.hop_length if self.settings.whole_hops else self.mel.frames(samples)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.centred_times(frames)


def cosine_transform(coefficients: int, bands: int) -> Float[Tensor, "coefficients bands"]:
    """The first rows of the orthonormal discrete cosine transform, type II, in double precision."""
    band = torch.arange(bands, dtype=torch.float64) + 0.5
    order = torch.arange(coefficients, dtype=torch.float64)
    rows = torch.cos(math.pi / bands * order[:, None] * band) * math.sqrt(2 / bands)
    rows[0] /= math.sqrt(2)
    return rows


def differences(
    rows: Float[Tensor, "batch bins time"], *, order: int, width: int = DIFFERENCE_WIDTH, ends: Ends = "interp"
) -> Float[Tensor, "batch bins time"]:
    """Derivative of each row over time by fitting a line (order 1) or a parabola (order 2) to some frames.

    librosa's ``feature.delta``. Below so many frames, where librosa refuses its usual rule for the ends, the
    first and last frames are repeated outwards (its ``mode="nearest"``).

    Args:
        rows: time last.
        order: 1 or 2.
        width: how many frames, an odd number.
        ends: as ``MFCCSettings.difference_ends``.

    Raises:
        InvalidArgumentError: another order.
    """
    if order not in (1, 2):
        raise InvalidArgumentError(f"differences are of order 1 or 2, got {order}")
    # Least squares over offsets k = -h..h. A line's slope is sum(k x) / sum(k^2). For the parabola a + b k + c k^2
    # the even part decouples from b: with u = k^2 - mean(k^2), c = sum(u x) / sum(u^2), and the derivative is 2 c.
    half = width // 2
    offsets = torch.arange(-half, half + 1, dtype=torch.float64, device=rows.device)
    if order == 1:
        weights = offsets / offsets.square().sum()
    else:
        centred = offsets.square() - offsets.square().mean()
        weights = 2 * centred / centred.square().sum()
    # The fitted derivative is constant over its frames, so that reading the first and last fit at the
    # frames beyond them ("interp") repeats the outermost values.
    repeated = ends == "nearest" or rows.shape[-1] < width
    if repeated:
        rows = functional.pad(rows, (half, half), mode="replicate")
    fitted = (rows.unfold(-1, width, 1) * weights.to(rows.dtype)).sum(dim=-1)
    return fitted if repeated else functional.pad(fitted, (half, half), mode="replicate")
