"""Removal of a constant offset from waveforms before another front-end.

Cheap converters and some old editors add a constant to every sample. It is no sound, but it leaks into the low
bands of every frame, and at the ends of the sound it is a step. Silence behind a sound, with which it is filled up to
a window, has no offset: the mean is that of the samples up to the last one that is not 0.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.frontends.base import WrappingFrontend, register_frontend
from soundloom.frontends.mel import LogMel

__all__ = ["CentredFrontend"]


@register_frontend("Centred", wraps="inner", presets={"centred-log-mel": lambda: CentredFrontend(LogMel.yamnet())})
class CentredFrontend(WrappingFrontend):
    """``inner`` of waveforms less their mean."""

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The representation of the front-end within."""
        self.check_length(waveforms)
        representation: Tensor = self.inner(_centred(waveforms))
        return representation


def _centred(waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples"]:
    """Each row less the mean of its samples up to the last that is not 0; what follows stays 0."""
    sounding = (waveforms != 0).flip(1).cumsum(1).flip(1) > 0
    mean = waveforms.sum(dim=1, keepdim=True) / sounding.sum(dim=1, keepdim=True).clamp_min(1)
    return torch.where(sounding, waveforms - mean, 0.0)
