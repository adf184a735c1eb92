"""A front-end whose bins are shifted and scaled by learned numbers.

COALA scales each mel band by the range that it had over the training set (Favory 2020, section 3.1), so the
ranges are weights like any other: they come with the checkpoint and are saved with the model.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.frontends.base import Frontend

__all__ = ["Scaled"]


class Scaled(Frontend):
    """``inner(x) * scale + shift``, bin by bin.

    Attributes:
        scale: ``[bins]``, 1 until loaded.
        shift: ``[bins]``, 0 until loaded.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, inner: Frontend) -> None:
        super().__init__()
        self.inner = inner
        self.sample_rate = inner.sample_rate
        self.hop = inner.hop
        self.channels = inner.channels
        self.bins = inner.bins
        self.min_samples = inner.min_samples
        self.register_buffer("scale", torch.ones(inner.bins))
        self.register_buffer("shift", torch.zeros(inner.bins))

    @property
    def settings(self) -> object:
        """Those of the front-end within."""
        return getattr(self.inner, "settings", "")

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The scaled representation."""
        scaled: Tensor = self.inner(waveforms) * self.scale[:, None] + self.shift[:, None]
        return scaled

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return self.inner.frames(samples)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.inner.times(frames)
