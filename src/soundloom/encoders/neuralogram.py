"""Neuralogram: the embedding of a frozen MobileNet for every 100 ms, stacked over time (Verma 2023, section 3.4).

Verma 2023, section 3.4: each chunk of 100 ms is projected through a trained MobileNet, whose last layer gives 1024
numbers, "a representation of 1024 x 10 shape for 1s content". To the transformer that learns from it this is one more
representation, made by weights that no longer change; so it is a front-end, although one with an encoder inside.

The paper does not say what its MobileNet, made for pictures, is given of a chunk. Here it is the chunk's log-mel
spectrogram (Jansen 2017's: 64 bands, 8 frames that lie wholly within the chunk).

When not: fine-tuning. The network is trained before, on chunks alone, and frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from soundloom.encoders.mobilenet import MobileNetV1
from soundloom.errors import InvalidArgumentError
from soundloom.frontends import Frontend, LogMel, register_frontend

__all__ = ["Neuralogram", "NeuralogramSettings"]

# Chunks that go through the network at a time: bounds what a long sound takes in memory.
BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class NeuralogramSettings:
    """How long a chunk is.

    Attributes:
        length: samples of a chunk at 16 kHz.
    """

    length: int = 1600

    def __post_init__(self) -> None:
        if self.length < 400:
            raise InvalidArgumentError(f"a chunk must hold a frame of 400 samples, got {self.length}")


@register_frontend("Neuralogram", settings=NeuralogramSettings)
class Neuralogram(Frontend):
    """A column of 1024 numbers every 100 ms, [batch, 1, 1024, time]. A rest at the end is left out.

    Attributes:
        mel: of a chunk's waveform.
        network: of a chunk's spectrogram; frozen.
    """

    channels = 1
    bins = 1024

    def __init__(self, settings: NeuralogramSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or NeuralogramSettings()
        self.mel = LogMel.jansen()
        self.network = MobileNetV1().requires_grad_(False).eval()
        self.sample_rate = self.mel.sample_rate
        self.hop = settings.length / self.sample_rate
        self.min_samples = settings.length

    @property
    def pretrained_network(self) -> MobileNetV1:
        """The network, which is trained before a stream learns from its columns."""
        return self.network

    @property
    def network_input(self) -> tuple[LogMel, int]:
        """The log-mel of a chunk, and its frames that lie wholly within the chunk."""
        return self.mel, self.mel.frames(self.settings.length)

    def train(self, mode: bool = True) -> Neuralogram:
        """Set the mode of everything but the frozen network, whose batch statistics must not change."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The columns, the channel axis being 1."""
        self.check_length(waveforms)
        length, batch = self.settings.length, len(waveforms)
        chunks = waveforms.unfold(1, length, length).flatten(0, 1)
        columns = torch.cat([self.network.baseline(self.mel(block))[..., 0] for block in torch.split(chunks, BLOCK)])
        return torch.unflatten(columns, 0, (batch, -1)).transpose(1, 2).unsqueeze(1)

    def frames(self, samples: int) -> int:
        """How many chunks a waveform of so many samples has."""
        return samples // self.settings.length

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """The chunks' middles in seconds."""
        return (torch.arange(frames, dtype=torch.float64) + 0.5) * self.hop
