"""Waveforms filled to a fixed length, with faint noise, before another front-end (published code of Favory 2020).

COALA's code fills a sound of at most ten seconds with silence to ten, and adds noise drawn evenly from 0 to 0.0005 to
all of it; a longer sound stays as it is. The logarithm turns digital silence into the lowest value there is, so the
noise decides what silence looks like. Here the noise is drawn once, from a fixed seed: the same sound always gives the
same representation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import Frontend, WrappingFrontend, register_frontend
from soundloom.frontends.mel import LogMel

__all__ = ["PaddedFrontend", "PaddedSettings"]


@dataclass(frozen=True, kw_only=True)
class PaddedSettings:
    """How waveforms are filled.

    Attributes:
        samples: to so many; a longer waveform is left alone.
        noise: what is added to every sample, the sound's too, is drawn evenly from 0 to this.
        seed: of the noise.
    """

    samples: int
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.noise < 0:
            raise InvalidArgumentError(f"samples are one or more and noise is zero or more, got {self}")


@register_frontend(
    "Padded",
    settings=PaddedSettings,
    wraps="inner",
    presets={"padded-log-mel": lambda: PaddedFrontend(LogMel.coala(), PaddedSettings(samples=1024))},
)
class PaddedFrontend(WrappingFrontend):
    """Another front-end, on waveforms of at least a fixed length.

    Attributes:
        noise: ``[samples]``, what is added.
    """

    noise: Tensor

    def __init__(self, inner: Frontend, settings: PaddedSettings) -> None:
        super().__init__(inner)
        self.settings = settings
        self.min_samples = 1
        generator = torch.Generator().manual_seed(settings.seed)
        noise = settings.noise * torch.rand(settings.samples, generator=generator, device="cpu")
        self.register_buffer("noise", noise, persistent=False)

    @classmethod
    def favory(cls) -> PaddedFrontend:
        """COALA's log-mel of ten seconds at 22,000 Hz."""
        return cls(LogMel.coala(), PaddedSettings(samples=220_000, noise=5e-4))

    def extra_repr(self) -> str:
        """The settings, and what decides the front-end within."""
        return f"{self.settings!r}, {self.inner.extra_repr()}"

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The representation of the front-end within."""
        self.check_length(waveforms)
        missing = self.settings.samples - waveforms.shape[1]
        if missing >= 0:
            waveforms = torch.nn.functional.pad(waveforms, (0, missing)) + self.noise
        representation: Tensor = self.inner(waveforms)
        return representation

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return self.inner.frames(max(samples, self.settings.samples))
