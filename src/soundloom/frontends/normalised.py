"""Per-bin normalisation of another front-end by learned scale and shift (Favory 2020, section 3.1).

COALA scales its patches to [0, 1] by ranges over the training set (Favory 2020, section 3.1), here each mel band by its
own. The ranges are weights like any other and are saved with the model. (The published weights come with ranges of
frames instead; see `soundloom.encoders.COALASettings`.)
"""

from __future__ import annotations

from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.frontends.base import Frontend, WrappingFrontend, register_frontend
from soundloom.frontends.mel import LogMel

__all__ = ["NormalisedFrontend"]


@register_frontend(
    "Scaled",
    wraps="inner",
    presets={"normalised-log-mel": lambda: NormalisedFrontend(LogMel.coala())},
    aliases=("NormalisedFrontend",),
)
class NormalisedFrontend(WrappingFrontend):
    """``inner(x) * scale + shift``, bin by bin.

    Attributes:
        scale: ``[bins]``, 1 until loaded.
        shift: ``[bins]``, 0 until loaded.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, inner: Frontend) -> None:
        super().__init__(inner)
        self.register_buffer("scale", torch.ones(inner.bins))
        self.register_buffer("shift", torch.zeros(inner.bins))

    @property
    def base(self) -> Frontend:
        """The front-end within: learned numbers change without anything being cached anew."""
        return self.inner.base

    @property
    def normalisation(self) -> Self:
        """Itself: the scale and shift that training sets."""
        return self

    @property
    def settings(self) -> object:
        """Those of the front-end within."""
        return getattr(self.inner, "settings", "")

    @property
    def local(self) -> Frontend | None:
        """The same around the local form of the front-end within."""
        inner = self.inner.local
        if inner is None or inner is self.inner:
            return None if inner is None else self
        twin = NormalisedFrontend(inner)
        twin.scale, twin.shift = self.scale, self.shift
        return twin

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The scaled representation."""
        return self.normalise(self.inner(waveforms))

    def normalise(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch channel frequency time"]:
        """From the output of the front-end within to the output of this one."""
        return representation * self.scale[:, None] + self.shift[:, None]
