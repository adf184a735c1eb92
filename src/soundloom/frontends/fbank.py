"""Kaldi's filter bank features, as the Audio Spectrogram Transformer takes them (Gong et al. 2021).

Frame by frame the mean is removed and high frequencies are emphasised; 128 bands, triangular over mel, of
power; natural logarithm with a floor; then one fixed mean and deviation for all bands. No dither.

The published model was trained on 1024 frames: shorter clips were filled with zeros before normalisation
(so with ``FbankSettings().padding_value`` after it). Padding and cutting are left to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import Frontend, register_frontend
from soundloom.frontends.filterbank import FilterBank, filter_bank
from soundloom.frontends.frames import Framing, FramingSettings, in_blocks, power

__all__ = ["Fbank", "FbankSettings"]

SAMPLE_RATE = 16000
PRE_EMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps


@dataclass(frozen=True, kw_only=True)
class FbankSettings:
    """What normalises the features; the rest is fixed.

    Attributes:
        mean: subtracted from the log energies. The default is AudioSet's; the statistics of the task's own
            training set are another published choice (Niizumi 2022 by way of its evaluation package).
        deviation: half of what they are then divided by.
        of_task: evaluation replaces both by the task's own (`soundloom.evaluation.task_statistics`).
    """

    mean: float = -4.2677393
    deviation: float = 4.5689974
    of_task: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if not self.deviation > 0:
            raise InvalidArgumentError(f"deviation must be above zero, got {self.deviation!r}")

    @property
    def padding_value(self) -> float:
        """What a frame of padding, zero before normalisation, becomes."""
        return -self.mean / (2 * self.deviation)


@register_frontend("Fbank", settings=FbankSettings, presets={"ast": lambda: Fbank.ast()})
class Fbank(Frontend):
    """Normalised log filter bank energies ``[batch, 1, 128, time]``, 25 ms every 10 ms at 16 kHz."""

    channels = 1

    def __init__(self, settings: FbankSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or FbankSettings()
        self.framing = Framing(
            FramingSettings(n_fft=512, win_length=400, hop_length=160, window="hann-symmetric", padding="none")
        )
        self.bank = FilterBank(
            filter_bank(
                sample_rate=SAMPLE_RATE,
                n_fft=512,
                bins=128,
                fmin=20,
                fmax=8000,
                scale="htk",
                slope="mel",
                norm="none",
            )
        )
        self.sample_rate = SAMPLE_RATE
        self.hop = self.framing.settings.hop_length / SAMPLE_RATE
        self.bins = 128
        self.min_samples = self.framing.min_samples

    @classmethod
    def ast(cls) -> Self:
        """The published AudioSet model's features."""
        return cls()

    @property
    def of_task(self) -> bool:
        """As the settings say."""
        return self.settings.of_task

    def normalised_by(self, mean: float, deviation: float) -> Fbank:
        """The same features, normalised by another mean and deviation."""
        return Fbank(replace(self.settings, mean=mean, deviation=deviation))

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The features, the channel axis being 1."""
        self.check_length(waveforms)
        waveforms = waveforms - waveforms.mean(dim=1, keepdim=True)
        energies = in_blocks(self._sum_bands, self.framing(waveforms))
        levels = energies.clamp_min(FLOOR).log_()
        return levels.sub_(self.settings.mean).div_(2 * self.settings.deviation).unsqueeze(1)

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return self.framing.frames(samples)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.framing.centres(frames) / self.sample_rate

    def _sum_bands(self, frames: Tensor) -> Tensor:
        # With m a frame's mean and a the emphasis, (x[i] - m) - a (x[i-1] - m) = x[i] - a x[i-1] - (1 - a) m. The
        # first sample, which has none before it, stands under the zero that begins the window, so that the frame
        # may begin with the second: a shift by one sample leaves magnitudes as they are.
        mean = frames[..., : self.framing.settings.win_length].mean(dim=-1, keepdim=True)
        emphasised = torch.sub(frames[..., 1:], frames[..., :-1], alpha=PRE_EMPHASIS)
        emphasised = emphasised.sub_((1 - PRE_EMPHASIS) * mean).mul_(self.framing.window[1:])
        bands: Tensor = self.bank(power(functional.pad(emphasised, (0, 1))))
        return bands
