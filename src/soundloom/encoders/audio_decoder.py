"""COALA's audio decoder (Favory 2020, section 2.1 and supplement): from an embedding back to a log-mel patch.

It is trained with the encoder so that the embedding keeps what the alignment alone would forget, and is thrown away
afterwards; that of the tags is kept to predict tags (`soundloom.tags.tag_decoder`). The paper says that the decoders
mirror the encoders; the published code differs from a mirror in three places here, which are kept: the decoder drops
out its input, does not drop out before its last layer, and its last layer ends in batch normalisation and a logistic
function instead of a ReLU.

When not: for embeddings of another size than 1152, and windows of other than 96 bins and 96 frames.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from soundloom.encoders.dropout import Dropout
from soundloom.encoders.init import he_normal

__all__ = ["AudioDecoder"]

_CHANNELS = 128
_LATENT = 3
_BLOCKS = 5
_DROPOUT = 0.25

SIDE = _LATENT * 2**_BLOCKS
"""Bins, and frames, of a decoded window."""


class AudioDecoder(nn.Module):
    """From z_a to a window in [0, 1]: five transposed convolutions of 4 x 4, each doubling both axes."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [Dropout(_DROPOUT)]
        for block in range(_BLOCKS - 1):
            blocks += [_doubling(_CHANNELS), nn.BatchNorm2d(_CHANNELS), nn.ReLU(inplace=True)]
            blocks += [Dropout(_DROPOUT)] if block < _BLOCKS - 2 else []
        self.blocks = nn.Sequential(*blocks, _doubling(1), nn.BatchNorm2d(1), nn.Sigmoid())
        he_normal(self)

    def forward(self, z: Float[Tensor, "batch 1152"]) -> Float[Tensor, "batch 1 96 96"]:
        """The window that an embedding was made of, as far as it is remembered: [B, 1, F, T]."""
        maps = z.reshape(-1, _CHANNELS, _LATENT, _LATENT)  # [B, C, T, F], as the encoder flattens them
        window: Tensor = self.blocks(maps)
        return window.transpose(2, 3)


def _doubling(outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(_CHANNELS, outputs, 4, stride=2, padding=1)
