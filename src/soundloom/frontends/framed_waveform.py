"""Waveform patches: the waveform in pieces side by side, for encoders that learn their own filters (Verma 2023).

Verma 2023: ``WaveformPatches`` are section 3.3's, 400 samples or 25 ms each, for learned filters;
``FramedWaveform`` are section 3.4's, 100 ms each, for a convolutional network whose outputs stack into the
Neuralogram.

A rest at the end that is shorter than a piece is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import Frontend, register_frontend

__all__ = ["FramedWaveform", "PatchSettings", "WaveformPatches"]


@dataclass(frozen=True, kw_only=True)
class PatchSettings:
    """The size of a piece.

    Attributes:
        sample_rate: in hertz.
        length: samples in a piece.
    """

    sample_rate: int = 16000
    length: int = 400

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InvalidArgumentError(f"a piece must be at least one sample long, got {self.length}")


@register_frontend("WaveformPatches", settings=PatchSettings, presets={"waveform-patches": lambda: WaveformPatches()})
class WaveformPatches(Frontend):
    """Pieces of a waveform ``[batch, 1, length, time]``, the samples of a piece along the frequency axis.

    The result is a view on the waveforms: to be read and not written.
    """

    channels = 1

    def __init__(self, settings: PatchSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or PatchSettings()
        self.sample_rate = self.settings.sample_rate
        self.hop = self.settings.length / self.settings.sample_rate
        self.bins = self.settings.length
        self.min_samples = self.settings.length

    @property
    def local(self) -> WaveformPatches:
        """Itself: no frame depends on others."""
        return self

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The pieces, the channel axis being 1."""
        self.check_length(waveforms)
        return waveforms.unfold(1, self.bins, self.bins).transpose(1, 2).unsqueeze(1)

    def frames(self, samples: int) -> int:
        """How many pieces a waveform of so many samples gives."""
        return samples // self.bins

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """The pieces' middles in seconds."""
        return (torch.arange(frames, dtype=torch.float64) + 0.5) * self.hop


@register_frontend(
    "Chunks",
    settings=PatchSettings,
    presets={"framed-waveform": lambda: FramedWaveform()},
    aliases=("FramedWaveform",),
)
class FramedWaveform(WaveformPatches):
    """Longer pieces, 100 ms by default, ``[batch, 1, 1600, time]``."""

    def __init__(self, settings: PatchSettings | None = None) -> None:
        super().__init__(settings or PatchSettings(length=1600))
