"""Second-by-second application of another front-end, as Verma 2023 takes chunks of 1 s.

Verma 2023 takes sound in chunks of 1 s, and two of its representations look at a whole chunk at once: a peak must
reach the median of its second, a cepstrum is cut 80 dB below its chunk's loudest band. Of a long sound taken in one
piece they, and every frame whose filter reaches over the seam, would differ from what was learned on chunks. Here
every second is transformed alone, so that a long sound's representation is its seconds', side by side.

A rest shorter than a second is filled with silence before the transform, and gives the frames that its sound fills.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import Frontend, WrappingFrontend, register_frontend
from soundloom.frontends.mfcc import MFCC

__all__ = ["PerSecond"]


@register_frontend(
    "BySecond",
    wraps="inner",
    presets={"mfcc-per-second": lambda: PerSecond(MFCC.verma())},
    aliases=("PerSecond",),
)
class PerSecond(WrappingFrontend):
    """``inner`` of every second alone, joined along time.

    Raises:
        InvalidArgumentError: a second is not a whole number of the inner front-end's frames.
    """

    def __init__(self, inner: Frontend) -> None:
        frames = inner.frames(inner.sample_rate)
        if abs(frames * inner.hop - 1) > 1e-9:
            raise InvalidArgumentError(
                f"{type(inner).__name__} makes {frames} frames, one every {inner.hop:g} s, of a second: "
                "seconds would not follow one another evenly; choose a hop that divides a second, and no frame "
                "centred on its end"
            )
        super().__init__(inner)
        self.second = frames

    @property
    def settings(self) -> object:
        """Those of the front-end within."""
        return getattr(self.inner, "settings", "")

    @property
    def local(self) -> PerSecond:
        """Itself: every second is transformed alone."""
        return self

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The seconds' representations, one after another."""
        self.check_length(waveforms)
        batch, samples = waveforms.shape
        padded = functional.pad(waveforms, (0, -samples % self.sample_rate))
        seconds = self.inner(padded.reshape(-1, self.sample_rate))
        joined = torch.unflatten(seconds, 0, (batch, -1)).movedim(1, 3).flatten(3)
        return joined[..., : self.frames(samples)]

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        seconds, rest = divmod(samples, self.sample_rate)
        return seconds * self.second + (self.inner.frames(rest) if rest >= self.min_samples else 0)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        within = self.inner.times(self.second)
        count = -(-frames // self.second)
        return (torch.arange(count, dtype=within.dtype)[:, None] + within).flatten()[:frames]
