"""VGGish: the convolutional network of Hershey et al. 2017, numbered as in Niizumi 2022, table I.

Six convolutions and three fully connected layers over examples of 96 log-mel frames by 64 bins. The published
weights see time x frequency images, and flatten them in the order time, frequency, channel; both happen inside,
so that callers keep [batch, channel, frequency, time].

Layers are counted as the paper counts operations, and only the ReLUs can be asked for: the first six keep their
time axis, 18, 20 and 22 are vectors. The network cannot take any other length than 96 frames: cut longer sounds
into examples and join the results over time (Niizumi 2022, section IV-A1).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from soundloom.encoders.base import register_encoder
from soundloom.encoders.layer_collection import ConvolutionalEncoder, check_shape

__all__ = ["VGGish"]

_BINS, _FRAMES = 64, 96


@register_encoder("VGGish", presets={"vggish": lambda: VGGish()})
class VGGish(ConvolutionalEncoder):
    """Examples of 64 bins x 96 frames in, ReLU outputs out: [B, C, F, T] up to layer 15, [B, D, 1, 1] from 18 on.

    Applications use the last, 128 numbers an example.

    Attributes:
        features: convolutions, ReLUs and pools, operations 1 to 16; keys as in the published PyTorch port.
        embeddings: fully connected layers, operations 17 to 22.
    """

    available = (2, 5, 8, 10, 13, 15, 18, 20, 22)
    stride = 16

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(1, 64),
            nn.MaxPool2d(2),
            *_convolution(64, 128),
            nn.MaxPool2d(2),
            *_convolution(128, 256),
            *_convolution(256, 256),
            nn.MaxPool2d(2),
            *_convolution(256, 512),
            *_convolution(512, 512),
            nn.MaxPool2d(2),
        )
        self.embeddings = nn.Sequential(
            nn.Linear(512 * (_FRAMES // self.stride) * (_BINS // self.stride), 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 128),
            nn.ReLU(inplace=True),
        )
        self.reset_parameters()

    def _check_input(self, representation: Tensor) -> None:
        check_shape(self, representation, channels=1, bins=_BINS, frames=_FRAMES)

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Every operation with its number in table I."""
        x = representation.transpose(2, 3)  # published layout [B, C, T, F]
        for number, operation in enumerate(self.features, start=1):
            x = operation(x)
            yield number, x.transpose(2, 3)
        x = x.permute(0, 2, 3, 1).flatten(1)  # T, F, C
        for number, operation in enumerate(self.embeddings, start=17):
            x = operation(x)
            yield number, x[:, :, None, None]


def _convolution(in_channels: int, out_channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(inplace=True)
