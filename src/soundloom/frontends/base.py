"""What every front-end is: a module that turns waveforms into a time-frequency representation."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.errors import InvalidArgumentError

__all__ = ["Frontend"]


class Frontend(nn.Module, ABC):
    """Waveforms in, representation out; batched, on any device, differentiable where its mathematics is.

    Every row of a batch is treated alone: a row's result does not depend on the other rows.

    Attributes:
        sample_rate: the rate in hertz at which the waveforms must come.
        hop: seconds from one frame to the next.
        channels: size of the channel axis of the representation.
        bins: size of the frequency axis of the representation.
        min_samples: the shortest waveform, in samples, that gives a frame.
    """

    sample_rate: int
    hop: float
    channels: int
    bins: int
    min_samples: int

    @abstractmethod
    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """Turn a batch of equally long mono waveforms in [-1, 1] into a representation.

        Raises:
            InvalidArgumentError: the waveforms are shorter than ``min_samples``, or there are none.
        """

    @abstractmethod
    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""

    @abstractmethod
    def times(self, frames: int) -> Float[Tensor, " time"]:
        """The centres of the first so many frames, in seconds from the waveform's first sample."""

    def extra_repr(self) -> str:
        """The settings, so that a printed model shows them and its fingerprint counts them."""
        return repr(getattr(self, "settings", ""))

    def check_length(self, waveforms: Tensor) -> None:
        """Refuse waveforms too short to give a single frame, and a batch of none."""
        batch, samples = waveforms.shape
        if batch == 0:
            raise InvalidArgumentError(
                f"{type(self).__name__} needs at least one waveform, got a batch of none: skip empty batches"
            )
        if samples < self.min_samples:
            raise InvalidArgumentError(
                f"{type(self).__name__} needs at least {self.min_samples} samples "
                f"({self.min_samples / self.sample_rate:.3f} s at {self.sample_rate} Hz), got {samples}: "
                "pad the waveform with zeros"
            )

    def centred_times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres of a front-end whose frame t is centred on sample t x hop."""
        return torch.arange(frames, dtype=torch.float64) * self.hop
