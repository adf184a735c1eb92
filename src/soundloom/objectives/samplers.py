"""Triplet samplers on mel energies: noise, translation and mixing (Jansen 2017, section 3.2).

    noise         a sound, noisier
    translation   a sound, a little earlier or later and higher or lower
    mixing        a sound, with another quietly added
    proximity     another moment of the same recording
    labelled      another sound of the same class: the supervised topline

The first three make a positive out of its anchor, here, on a whole batch at once and on the device where it lies. The
last two find theirs in the corpus (`triplet_sampler`) and need no arithmetic.

All work on energies, before the logarithm: sounds add there, and silence is zero. With a front-end of magnitudes,
such as Jansen's, a cell holds a magnitude and is taken as it is.

Random numbers are torch's own: the same state of torch's generator gives the same positives.

When not: on log-mel values, where the noise would be a power and a mixture a product; and for front-ends of other
things than mel energies, before which the waveform is changed (`waveform_samplers`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["MADE", "POSITIVES", "SAMPLERS", "PositiveSampler", "mixed", "noisy", "translated"]

MADE = ("noise", "translation", "mixing")
"""The samplers that make a positive out of its anchor."""

SAMPLERS = (*MADE, "proximity", "labelled")
"""Every sampler; its index here is its number in a batch."""

_QUIETEST = 1e-30


@dataclass(frozen=True)
class PositiveSampler:
    """A sampler that makes positives out of anchors.

    Attributes:
        make: the positives, from the anchors, the sounds to mix in, and the settings of the objective.
        mixes: whether it mixes in the sound of each anchor's partner (`soundloom.objectives.mining.Known`).
    """

    make: Callable[[Tensor, Tensor, Any], Tensor]
    mixes: bool = False


def noisy(energies: Float[Tensor, "batch frames bins"], sigma: float) -> Float[Tensor, "batch frames bins"]:
    """Gaussian noise: every cell louder by a random share of itself.

    x_p[t, f] = x[t, f] (1 + |e[t, f]|),   e[t, f] ~ N(0, sigma^2)
    """
    return energies * (1 + sigma * torch.randn_like(energies).abs())


def translated(energies: Float[Tensor, "batch frames bins"], shift: int) -> Float[Tensor, "batch frames bins"]:
    """Time and frequency translation: around in time, off the edge in frequency.

    x_p = Trunc_S(Circ_T(x)),   by u of 0 ... T - 1 frames and v of -S ... S bins:
    x_p[t, f] = x[(t - u) mod T, f - v],   zero where f - v is no bin
    """
    batch, frames, bins = energies.shape
    rows = torch.arange(batch, device=energies.device)[:, None, None]
    along = torch.randint(frames, (batch, 1, 1), device=energies.device)
    across = torch.randint(-shift, shift + 1, (batch, 1, 1), device=energies.device)
    times = (torch.arange(frames, device=energies.device)[:, None] - along) % frames
    sources = torch.arange(bins, device=energies.device) - across
    moved = energies[rows, times, sources.clamp(0, bins - 1)]
    return moved * ((sources >= 0) & (sources < bins))


def mixed(
    anchors: Float[Tensor, "batch frames bins"], others: Float[Tensor, "batch frames bins"], alpha: float
) -> Float[Tensor, "batch frames bins"]:
    """Example mixing: the other sound at a share alpha of the anchor's energy.

        x_p = x_a + alpha [E(x_a) / E(x_n)] x_n,   E(x) the sum of all cells of x

    Silence mixed in adds nothing.
    """
    energy, other = (sounds.sum(dim=(1, 2), keepdim=True) for sounds in (anchors, others))
    return anchors + alpha * energy * (others / other.clamp_min(_QUIETEST))


POSITIVES = {
    "noise": PositiveSampler(lambda anchors, _, settings: noisy(anchors, settings.sigma)),
    "translation": PositiveSampler(lambda anchors, _, settings: translated(anchors, settings.shift)),
    "mixing": PositiveSampler(lambda anchors, others, settings: mixed(anchors, others, settings.alpha), mixes=True),
}
"""Each of `MADE` on energies."""
