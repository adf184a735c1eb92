"""Log-mel of aiSFX (Ma and Lerch, ISMIR 2022): 96 HTK bands of a waveform scaled to its peak.

44.1 kHz; each waveform divided by its largest value; power under a Hann window of 2048 samples every 1024, zeros beyond
the ends; triangles straight over hertz whose weights sum to 1; log10(1 + 10000 x), divided by the largest value that
the authors met in training. Silence is exactly zero.

As in the published package's librosa path; the paper's own features are Essentia's, which differ a little.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.frontends.base import Frontend, register_frontend
from soundloom.frontends.filterbank import FilterBank, filter_bank
from soundloom.frontends.frames import Framing, FramingSettings, in_blocks, power

__all__ = ["PeakLogMel"]

SAMPLE_RATE = 44100
LARGEST = 9.457798957824707
FACTOR = 10_000


@register_frontend("PeakLogMel", presets={"aisfx": lambda: PeakLogMel()})
class PeakLogMel(Frontend):
    """Log-mel spectrogram ``[batch, 1, 96, time]`` of waveforms scaled to their peaks."""

    channels = 1

    def __init__(self) -> None:
        super().__init__()
        self.framing = Framing(FramingSettings(n_fft=2048, win_length=2048, hop_length=1024, padding="zeros"))
        filters = filter_bank(
            sample_rate=SAMPLE_RATE, n_fft=2048, bins=96, fmin=0, fmax=22050, scale="htk", slope="hertz", norm="none"
        )
        self.bank = FilterBank(filters / filters.sum(dim=1, keepdim=True))
        self.sample_rate = SAMPLE_RATE
        self.hop = 1024 / SAMPLE_RATE
        self.bins = 96
        self.min_samples = self.framing.min_samples

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The scaled logarithm, the channel axis being 1."""
        self.check_length(waveforms)
        peaks = waveforms.abs().amax(dim=1, keepdim=True)
        scaled = waveforms / torch.where(peaks > 0, peaks, 1.0)
        energies = in_blocks(self._sum_bands, self.framing(scaled))
        return (1 + FACTOR * energies).log10_().div_(LARGEST).unsqueeze(1)

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return self.framing.frames(samples)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.framing.centres(frames) / self.sample_rate

    def _sum_bands(self, frames: Tensor) -> Tensor:
        bands: Tensor = self.bank(power(frames * self.framing.window))
        return bands
