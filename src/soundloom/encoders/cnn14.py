"""CNN14 of PANNs (Kong et al. 2020), its blocks numbered as in Niizumi 2022, table II.

Six blocks of two 3 x 3 convolutions over a log-mel of 64 bins, each of the first five halving time and frequency
by averaging. The published checkpoints load without their three front-end buffers (``spectrogram_extractor.*``,
``logmel_extractor.*``), which belong to the front-end; the tag classifier ``fc_audioset`` is kept.

Any length from 32 frames on. Augmentation of the spectrogram (SpecAugment, mixup) is training's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders.base import register_encoder
from soundloom.encoders.layer_collection import ConvolutionalEncoder, check_shape
from soundloom.errors import InvalidArgumentError

__all__ = ["CNN14", "CNN14Settings"]

_BINS = 64
_TAGS = 527
_BLOCKS = 6


@dataclass(frozen=True, kw_only=True)
class CNN14Settings:
    """The size of a CNN14; the defaults are the published one's.

    Attributes:
        widths: channels out of each of the six blocks.
        dim: size of the embedding.
        common_rate: max-pool every layer to the rate of the last, a step each 32 frames, by kernels of 16, 8, 4 and 2:
            equation 1 of Niizumi 2022 as its code computes it. Otherwise the kernel follows from the lengths, which
            differ where a length is no multiple of 32.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    dim: int = 2048
    common_rate: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.widths) != _BLOCKS:
            raise InvalidArgumentError(f"CNN14 has {_BLOCKS} blocks and needs as many widths, got {self.widths}")


@register_encoder("CNN14", settings=CNN14Settings, presets={"cnn14": lambda: CNN14()})
class CNN14(ConvolutionalEncoder):
    """A log-mel of 64 bins in, block outputs after pooling out; the channels double from 64 to 2048.

    Attributes:
        bn0: normalises every mel bin by its own statistics.
        conv_block1: the first of six blocks, each [B, C, T, F] in the published layout.
        fc1: the embedding, of 2048 numbers as published.
        fc_audioset: AudioSet's 527 tags from that embedding.
    """

    available = (1, 2, 3, 4, 5, 6)
    stride = 32

    def __init__(self, settings: CNN14Settings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or CNN14Settings()
        one, two, three, four, five, six = settings.widths
        self.bn0 = nn.BatchNorm2d(_BINS)
        self.conv_block1 = _ConvBlock(1, one, pool=2)
        self.conv_block2 = _ConvBlock(one, two, pool=2)
        self.conv_block3 = _ConvBlock(two, three, pool=2)
        self.conv_block4 = _ConvBlock(three, four, pool=2)
        self.conv_block5 = _ConvBlock(four, five, pool=2)
        self.conv_block6 = _ConvBlock(five, six, pool=1)
        self.fc1 = nn.Linear(six, settings.dim)
        self.fc_audioset = nn.Linear(settings.dim, _TAGS)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """The settings, where they are not the published ones: what, besides the weights, decides the layers."""
        # Nothing for those: fingerprints of the published model stay what they were before it had settings.
        rate = "common_rate" if self.settings.common_rate else ""
        settings = "" if replace(self.settings, common_rate=False) == CNN14Settings() else repr(self.settings)
        return ", ".join(filter(None, (settings, rate)))

    def _check_input(self, representation: Tensor) -> None:
        check_shape(self, representation, channels=1, bins=_BINS, min_frames=self.stride)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The embedding of a whole clip that applications of CNN14 use: [B, D, 1]."""
        return self._embedding(representation)[:, :, None]

    def tags(self, representation: Float[Tensor, "batch channel frequency time"]) -> Float[Tensor, "batch 527"]:
        """The probability of each of AudioSet's 527 tags in each clip."""
        embedding = functional.dropout(self._embedding(representation), 0.5, self.training)
        logits: Tensor = self.fc_audioset(embedding)
        return logits.sigmoid()

    def _embedding(self, representation: Tensor) -> Tensor:
        (last,) = self.layers(representation, [6])
        if self.training:
            last = functional.dropout(last, 0.2)
        frames = last.mean(dim=2)
        clip = frames.amax(dim=2) + frames.mean(dim=2)
        embedding: Tensor = self.fc1(functional.dropout(clip, 0.5, self.training))
        return embedding.relu()

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        blocks = (
            self.conv_block1,
            self.conv_block2,
            self.conv_block3,
            self.conv_block4,
            self.conv_block5,
            self.conv_block6,
        )
        # The bins are bn0's channels: [B, 1, F, T] -> [B, F, T, 1] -> published layout [B, 1, T, F].
        x = self.bn0(representation.permute(0, 2, 3, 1)).permute(0, 3, 2, 1)
        for number, block in enumerate(blocks, start=1):
            x = block(x)
            layer = x.transpose(2, 3)
            kernel = self.stride >> number if self.settings.common_rate else 1
            yield number, functional.max_pool2d(layer, (1, kernel)) if kernel > 1 else layer
            x = functional.dropout(x, 0.2, self.training)


class _ConvBlock(nn.Module):
    """Twice a 3 x 3 convolution, batch normalisation and ReLU; then the mean of pool x pool."""

    def __init__(self, in_channels: int, out_channels: int, *, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu_()
        x = self.bn2(self.conv2(x)).relu_()
        return functional.avg_pool2d(x, self.pool) if self.pool > 1 else x
