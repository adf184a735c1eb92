"""Removal of a constant offset from waveforms before another front-end.

Cheap converters and some old editors add a constant to every sample. It is no sound, but it leaks into the low
bands of every frame, and at the ends of the sound it is a step. Silence behind a sound, with which it is filled up to
a window, has no offset: the mean is that of the samples up to the last one that is not 0. Of a long sound whose windows
share frames, the mean is that of the second around each sample, so that no event changes what lies far from it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from soundloom.frontends.base import Frontend, WrappingFrontend, register_frontend
from soundloom.frontends.mel import LogMel

__all__ = ["CentredFrontend"]


@register_frontend("Centred", wraps="inner", presets={"centred-log-mel": lambda: CentredFrontend(LogMel.yamnet())})
class CentredFrontend(WrappingFrontend):
    """``inner`` of waveforms less their mean."""

    @property
    def local(self) -> Frontend | None:
        """The local form of the front-end within, of waveforms less their mean over a second."""
        inner = self.inner.local
        return None if inner is None else _LocallyCentred(inner)

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The representation of the front-end within."""
        self.check_length(waveforms)
        representation: Tensor = self.inner(_centred(waveforms))
        return representation


class _LocallyCentred(WrappingFrontend):
    """``inner`` of waveforms less their mean over the second around each sample; never saved."""

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The representation of the front-end within."""
        self.check_length(waveforms)
        sounding = _sounding(waveforms)
        sums, counts = (_moving_sum(values, self.sample_rate // 2) for values in (waveforms, sounding))
        mean = (sums / counts.clamp_min(1)).to(waveforms)
        representation: Tensor = self.inner(torch.where(sounding, waveforms - mean, 0.0))
        return representation


def _moving_sum(values: Shaped[Tensor, "batch samples"], half: int) -> Float[Tensor, "batch samples"]:
    """Sums over up to ``half`` samples before each one, itself, and up to ``half`` after it, in double precision."""
    running = functional.pad(values.double(), (half + 1, half)).cumsum(1)
    return running[:, 2 * half + 1 :] - running[:, : -2 * half - 1]


def _sounding(waveforms: Float[Tensor, "batch samples"]) -> Bool[Tensor, "batch samples"]:
    """The samples of each row up to the last that is not 0."""
    return (waveforms != 0).flip(1).cumsum(1).flip(1) > 0


def _centred(waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples"]:
    """Each row less the mean of its samples up to the last that is not 0; what follows stays 0."""
    sounding = _sounding(waveforms)
    mean = waveforms.sum(dim=1, keepdim=True) / sounding.sum(dim=1, keepdim=True).clamp_min(1)
    return torch.where(sounding, waveforms - mean, 0.0)
