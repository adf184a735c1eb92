"""MobileNetV1 (Howard et al. 2017), the network that Verma 2023, section 3.4, stacks into a neuralogram.

A first convolution and thirteen depthwise separable blocks; layers 1 to 13 are the blocks, layer 14 the global
average of the last: 1024 numbers a window. Both axes shrink 32 times, rounded up, so that the few frames of a
100 ms chunk still give an answer.

Keys, and TensorFlow's padding (more after than before), are those of the image checkpoints published for the
transformers library (``mobilenet_v1.*``).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders.base import register_encoder
from soundloom.encoders.layer_collection import ConvolutionalEncoder

__all__ = ["BLOCKS", "STEM", "MobileNetV1", "pad_same"]

# Channels out of each block, and its stride (Howard et al. 2017, table 1).
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
STEM = 32
_EPSILON = 1e-3


def pad_same(x: Tensor) -> Tensor:
    """TensorFlow's "same" padding for 3 taps at stride 2: an even axis gets one sample at its end, an odd one two."""
    bins, frames = x.shape[2:]
    return functional.pad(x, (frames % 2, 1, bins % 2, 1))


@register_encoder("MobileNetV1", presets={"mobilenet": lambda: MobileNetV1()})
class MobileNetV1(ConvolutionalEncoder):
    """One channel of any size in, block outputs [B, C, F, T] and the average of the last [B, 1024, 1, 1] (14) out.

    Attributes:
        mobilenet_v1: the convolutions.
    """

    available = tuple(range(1, len(BLOCKS) + 2))
    stride = 32

    def __init__(self) -> None:
        super().__init__()
        self.mobilenet_v1 = _Trunk()
        self.reset_parameters()

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        x = self.mobilenet_v1.conv_stem(representation)
        for index, half in enumerate(self.mobilenet_v1.layer, start=1):
            x = half(x)
            if index % 2 == 0:
                yield index // 2, x
        yield self.available[-1], x.mean(dim=(2, 3), keepdim=True)


class _Trunk(nn.Module):
    """The first convolution, and the depthwise and pointwise halves of the blocks in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _Convolution(1, STEM, size=3, stride=2)
        self.layer = nn.ModuleList()
        inputs = STEM
        for outputs, stride in BLOCKS:
            self.layer.append(_Convolution(inputs, inputs, size=3, stride=stride, groups=inputs))
            self.layer.append(_Convolution(inputs, outputs, size=1))
            inputs = outputs


class _Convolution(nn.Module):
    """A convolution to 1 / stride of the size, rounded up, batch normalisation, and ReLU cut at 6."""

    def __init__(self, inputs: int, outputs: int, *, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.strided = stride == 2
        padding = 0 if self.strided else size // 2
        self.convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding, groups=groups, bias=False)
        self.normalization = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        if self.strided:
            x = pad_same(x)
        return functional.relu6(self.normalization(self.convolution(x)), inplace=True)
