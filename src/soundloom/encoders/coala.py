"""COALA's two encoders (Favory 2020, section 2.1 and supplement): audio and tags into one space.

The audio encoder is five convolutions of 128 filters of 4 x 4 with stride 2, each followed by batch
normalisation, ReLU and dropout, over a log-mel scaled to [0, 1] of 96 frames x 96 bins. Its last feature maps,
128 x 3 x 3, flattened, are the embedding z_a of 1152 numbers. The tag encoder takes a multi-hot vector of tags
through layers of 512, 512 and 1152 units to z_t.

The two are compared after one linear map each (equations 8 and 9; published without the constant term): use
``align`` to search sounds by tags, and z for everything else, as the authors do.

The text scales every mel band to [0, 1] and writes a patch as time x frequency. The published code cuts patches of
frequency x time and scales their columns, which are frames; the published weights learned from that (``published``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.encoders.base import register_encoder
from soundloom.encoders.dropout import Dropout
from soundloom.encoders.init import he_normal
from soundloom.encoders.layer_collection import ConvolutionalEncoder, check_shape
from soundloom.errors import InvalidArgumentError

__all__ = ["COALA_DIM", "COALAAudioEncoder", "COALASettings", "COALATagEncoder"]

COALA_DIM = 1152
"""Numbers of z and of phi, of audio and of tags."""

_SIDE = 96
_CHANNELS = 128
_DROPOUT = 0.25


@dataclass(frozen=True, kw_only=True)
class COALASettings:
    """How patches are read.

    Attributes:
        published: as the published code reads them: frequency x time, each frame of the patch scaled by ranges that
            come with the weights. Otherwise time x frequency, as they come.
    """

    published: bool = False


@register_encoder("COALAAudioEncoder", settings=COALASettings, presets={"coala": lambda: COALAAudioEncoder()})
class COALAAudioEncoder(ConvolutionalEncoder):
    """Patches of 96 bins x 96 frames in, five feature maps and z out.

    Layers 1 to 5 are the convolutional blocks; layer 6 is z_a, which has no time axis. A z_a holds the numbers
    of layer 5: channel, then time and frequency in the order in which patches are read.

    Attributes:
        audio_encoder: the blocks, four modules each; keys as in the published checkpoints.
        fc_audio: the map from z_a to phi_a, where audio and tags are compared.
        frame_scale: ``[96]``, the factor of each frame of a patch; 1 until loaded. Published encoders only.
        frame_shift: ``[96]``, what is added to it; 0 until loaded.
    """

    frame_scale: Tensor
    frame_shift: Tensor

    available = (1, 2, 3, 4, 5, 6)
    stride = 32
    has_alignment = True

    def __init__(self, settings: COALASettings | None = None) -> None:
        super().__init__()
        self.settings = settings or COALASettings()
        if self.settings.published:
            self.register_buffer("frame_scale", torch.ones(_SIDE))
            self.register_buffer("frame_shift", torch.zeros(_SIDE))
        blocks = [_convolution(1 if block == 0 else _CHANNELS) for block in range(5)]
        self.audio_encoder = nn.Sequential(*(module for block in blocks for module in block))
        self.fc_audio = nn.Sequential(nn.Linear(COALA_DIM, COALA_DIM, bias=False), Dropout(_DROPOUT))
        self.reset_parameters()

    def _check_input(self, representation: Tensor) -> None:
        check_shape(self, representation, channels=1, bins=_SIDE, frames=_SIDE)

    def align(self, embeddings: Float[Tensor, "batch 1152"]) -> Float[Tensor, "batch 1152"]:
        """From z_a to phi_a, to be compared with a tag encoder's phi_t."""
        phi: Tensor = self.fc_audio(embeddings)
        return phi

    @property
    def alignment_map(self) -> nn.Sequential:
        """From z_a to phi_a."""
        return self.fc_audio

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        published = self.settings.published
        x = representation * self.frame_scale + self.frame_shift if published else representation.transpose(2, 3)
        for index, module in enumerate(self.audio_encoder, start=1):
            x = module(x)
            if index % 4 == 0:
                yield index // 4, x if published else x.transpose(2, 3)
        yield 6, x.flatten(1)[:, :, None, None]


class COALATagEncoder(nn.Module):
    """A multi-hot vector of tags in, z_t out.

    Attributes:
        tag_encoder: three fully connected layers, four modules each; keys as in the published checkpoints.
        fc_tag: the map from z_t to phi_t, where audio and tags are compared.
        vocabulary: how many tags there are; 1000 in the published models.
    """

    def __init__(self, vocabulary: int = 1000) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        widths = (vocabulary, 512, 512, COALA_DIM)
        blocks = [_linear(inputs, outputs) for inputs, outputs in pairwise(widths)]
        self.tag_encoder = nn.Sequential(*(module for block in blocks for module in block))
        self.fc_tag = nn.Sequential(nn.Linear(COALA_DIM, COALA_DIM, bias=False), Dropout(_DROPOUT))
        he_normal(self)

    def forward(self, tags: Float[Tensor, "batch vocabulary"]) -> Float[Tensor, "batch 1152"]:
        """The embedding z_t of each set of tags.

        Raises:
            InvalidArgumentError: the vectors are not as long as the vocabulary.
        """
        if tags.shape[1] != self.vocabulary:
            raise InvalidArgumentError(
                f"this tag encoder knows {self.vocabulary} tags, got vectors of {tags.shape[1]}: "
                "encode tags with the vocabulary it was trained with"
            )
        z: Tensor = self.tag_encoder(tags)
        return z

    def align(self, z: Float[Tensor, "batch 1152"]) -> Float[Tensor, "batch 1152"]:
        """From z_t to phi_t, to be compared with an audio encoder's phi_a."""
        phi: Tensor = self.fc_tag(z)
        return phi


def _convolution(in_channels: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(in_channels, _CHANNELS, 4, stride=2, padding=1)
    return convolution, nn.BatchNorm2d(_CHANNELS), nn.ReLU(inplace=True), Dropout(_DROPOUT)


def _linear(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True), Dropout(_DROPOUT)
