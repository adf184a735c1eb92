"""COALA's decoders (Favory 2020, section 2.1 and supplement): back from the embeddings to what was heard and said.

They are trained with the encoders so that the embeddings keep what the alignment alone would forget, and are thrown
away afterwards. The paper says that they mirror the encoders; the published code differs from a mirror in four
places, which are kept: the audio decoder drops out its input, neither decoder drops out before its last layer, and
the last layers end in batch normalisation and a logistic function instead of a ReLU.

When not: for embeddings of another size than 1152, and windows of other than 96 bins and 96 frames.
"""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from soundloom.encoders.initialisation import he_normal

__all__ = ["AudioDecoder", "TagDecoder"]

_CHANNELS = 128
_LATENT = 3
_BLOCKS = 5
_DROPOUT = 0.25

DIM = _CHANNELS * _LATENT * _LATENT
"""Size of the embedding that both decode."""

SIDE = _LATENT * 2**_BLOCKS
"""Bins, and frames, of a decoded window."""


class AudioDecoder(nn.Module):
    """From z_a to a window in [0, 1]: five transposed convolutions of 4 x 4, each doubling both axes."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Dropout(_DROPOUT)]
        for block in range(_BLOCKS - 1):
            blocks += [_doubling(_CHANNELS), nn.BatchNorm2d(_CHANNELS), nn.ReLU(inplace=True)]
            blocks += [nn.Dropout(_DROPOUT)] if block < _BLOCKS - 2 else []
        self.blocks = nn.Sequential(*blocks, _doubling(1), nn.BatchNorm2d(1), nn.Sigmoid())
        he_normal(self)

    def forward(self, z: Float[Tensor, "batch 1152"]) -> Float[Tensor, "batch 1 96 96"]:
        """The window that an embedding was made of, as far as it is remembered: [B, 1, F, T]."""
        maps = z.reshape(-1, _CHANNELS, _LATENT, _LATENT)  # [B, C, T, F], as the encoder flattens them
        window: Tensor = self.blocks(maps)
        return window.transpose(2, 3)


class TagDecoder(nn.Module):
    """From z_t to a logit for each tag: layers of 512, 512 and as many units as there are tags."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((DIM, 512, 512)):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
            layers += [nn.Dropout(_DROPOUT)] if inputs == DIM else []
        self.layers = nn.Sequential(*layers, nn.Linear(512, tags), nn.BatchNorm1d(tags))
        he_normal(self)

    def forward(self, z: Float[Tensor, "batch 1152"]) -> Float[Tensor, "batch tags"]:
        """How much the embedding says that each tag was there, before the logistic function."""
        logits: Tensor = self.layers(z)
        return logits


def _doubling(outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(_CHANNELS, outputs, 4, stride=2, padding=1)
