"""Peak map, the pitch front-end: the spectral peaks of a constant-Q transform (Verma 2023, section 3.1).

Verma 2023, section 3.1: of a log-magnitude constant-Q transform only spectral peaks are kept, those above two
bins on either side and not below the median of their second, as ones among zeros. Loudness and timbre
are gone, and so are gradients.
"""

from __future__ import annotations

from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.frontends.base import Frontend, register_frontend
from soundloom.frontends.constantq import ConstantQ

__all__ = ["PeakMap", "median_by_second", "spectral_peaks"]

# Power below the waveform's strongest at which a cell counts as silent: 100 dB, past what 16 bits hold, and
# above what the transform leaves in silence beside a loud sound.
SILENCE = 1e-10


@register_frontend("PeakMap", wraps="constant_q", presets={"peaks": lambda: PeakMap.verma()})
class PeakMap(Frontend):
    """Peaks of the constant-Q transform, ones among zeros, ``[batch, 1, bins, time]``."""

    channels = 1
    export_obstacle = "whose ones and zeros flip where another runtime rounds the transform otherwise"

    def __init__(self, constant_q: ConstantQ) -> None:
        super().__init__()
        self.constant_q = constant_q
        self.settings = constant_q.settings
        self.sample_rate = constant_q.sample_rate
        self.hop = constant_q.hop
        self.bins = constant_q.bins
        self.min_samples = constant_q.min_samples
        self.second = max(1, round(1 / constant_q.hop))

    @classmethod
    def verma(cls, sparsity: float = 0.0) -> Self:
        """Verma 2023, section 3.1: 80 bins, 12 an octave from 40 Hz, every 25 ms at 16 kHz; see `ConstantQ.verma`."""
        return cls(ConstantQ.verma(sparsity))

    @torch.no_grad()
    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The peak map, the channel axis being 1."""
        # Squares stand in the same order as log-magnitudes, which are all the rules below ask for.
        return spectral_peaks(self.constant_q.power(waveforms), self.second).unsqueeze(1)

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return self.constant_q.frames(samples)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.constant_q.times(frames)


def spectral_peaks(power: Float[Tensor, "batch bins time"], second: int) -> Float[Tensor, "batch bins time"]:
    """Ones where a cell stands out of its frame and its second.

    A peak is strictly stronger than the bins up to two above and two below it (so that a plateau has none), at
    least as strong as the median of its second, and not silent (100 dB below the waveform's strongest cell).
    The second is counted from the waveform's beginning; the last one may be shorter.

    Args:
        power: any quantity that rises with magnitude and is zero in silence, at most squared.
        second: frames a second.
    """
    bins = power.shape[1]
    around = functional.pad(power, (0, 0, 2, 2), value=-1.0)
    pairs = torch.maximum(around[:, :-1], around[:, 1:])
    peaks = power > torch.maximum(pairs[:, :bins], pairs[:, 3:])
    peaks &= power > power.amax(dim=(1, 2), keepdim=True) * SILENCE
    peaks &= power >= median_by_second(power, second)
    return peaks.to(power.dtype)


def median_by_second(power: Float[Tensor, "batch bins time"], second: int) -> Float[Tensor, "batch 1 time"]:
    """For each frame the median of its second's cells; of an even number the upper of the two in the middle.

    A cell is at least the mean of the middle two just when it is at least the upper one (either it is, or it is
    at most the lower, which reaches the mean only where both are equal). So no mean is needed, and what holds for
    magnitudes holds for their squares and logarithms.
    """
    batch, bins, time = power.shape
    rest = time % second
    medians = []
    for part, length in ((power[..., : time - rest], second), (power[..., time - rest :], rest)):
        if part.shape[2]:
            seconds = torch.unflatten(part, 2, (-1, length)).transpose(1, 2).reshape(batch, -1, bins * length)
            middle = seconds.kthvalue(bins * length // 2 + 1, dim=2).values
            medians.append(middle.repeat_interleave(length, dim=1))
    return torch.cat(medians, dim=1).unsqueeze(1)
