"""ResNet (He et al. 2016) over log-mel patches, with the 128-unit linear output of Jansen 2017, section 4.1.

Layers 1 to 4 are the four stages, layer 5 the output: global average, then one linear map. Jansen takes the
ResNet-50 of Hershey et al. 2017, which removes the stride of the first convolution because 64 x 96 patches are
small; that costs four times as much, and is the setting ``stem_stride=1``.

The trunk's keys are those of the image checkpoints published for the transformers library (``resnet.*``), so that
one, its three input channels summed, can be a starting point. Normalising the output to unit length is the
objective's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from soundloom.encoders.base import register_encoder
from soundloom.encoders.layer_collection import ConvolutionalEncoder
from soundloom.errors import InvalidArgumentError

__all__ = ["RESNET18", "RESNET50", "ResNet", "ResNetSettings"]


@dataclass(frozen=True, kw_only=True)
class ResNetSettings:
    """The size of a ResNet.

    Attributes:
        depths: residual blocks in each stage.
        widths: channels out of each stage.
        bottleneck: whether a block is 1 x 1, 3 x 3, 1 x 1 with a quarter of the channels inside, or twice 3 x 3.
        stem_stride: stride of the first convolution, 1 or 2.
        dim: size of the output.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    bottleneck: bool
    stem_stride: int = 2
    dim: int = 128

    def __post_init__(self) -> None:
        if len(self.depths) != len(self.widths):
            raise InvalidArgumentError(
                f"a stage needs a depth and a width, got depths {self.depths} and widths {self.widths}"
            )
        if self.stem_stride not in (1, 2):
            raise InvalidArgumentError(f"stem_stride must be 1 or 2, got {self.stem_stride}")


RESNET18 = ResNetSettings(depths=(2, 2, 2, 2), widths=(64, 128, 256, 512), bottleneck=False)
RESNET50 = ResNetSettings(depths=(3, 4, 6, 3), widths=(256, 512, 1024, 2048), bottleneck=True)

_STEM = 64


@register_encoder(
    "ResNet",
    settings=ResNetSettings,
    presets={"resnet18": lambda: ResNet(RESNET18), "resnet50": lambda: ResNet(RESNET50)},
)
class ResNet(ConvolutionalEncoder):
    """One channel of any size in, stages [B, C, F, T] and the linear output [B, D, 1, 1] (5) out.

    Attributes:
        resnet: stem and stages.
        output: the linear map from the averaged last stage.
    """

    def __init__(self, settings: ResNetSettings = RESNET50) -> None:
        super().__init__()
        self.settings = settings
        stages = len(settings.depths)
        self.available = tuple(range(1, stages + 2))
        # The stem's convolution, its pool, and every stage but the first.
        self.stride = settings.stem_stride * 2 * 2 ** (stages - 1)
        self.resnet = _Trunk(settings)
        self.output = nn.Linear(settings.widths[-1], settings.dim)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """The settings: what, besides the weights, decides the layers."""
        return repr(self.settings)

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        x = self.resnet.embedder(representation)
        for number, stage in enumerate(self.resnet.encoder.stages, start=1):
            x = stage(x)
            yield number, x
        yield self.available[-1], self.output(x.mean(dim=(2, 3)))[:, :, None, None]


class _Trunk(nn.Module):
    def __init__(self, settings: ResNetSettings) -> None:
        super().__init__()
        self.embedder = _Stem(settings.stem_stride)
        self.encoder = _Stages(settings)


class _Stages(nn.Module):
    def __init__(self, settings: ResNetSettings) -> None:
        super().__init__()
        inputs = (_STEM, *settings.widths[:-1])
        strides = (1, *[2] * (len(settings.widths) - 1))
        shapes = zip(inputs, settings.widths, settings.depths, strides, strict=True)
        self.stages = nn.ModuleList(_Stage(*shape, bottleneck=settings.bottleneck) for shape in shapes)


class _Stem(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.embedder = _Convolution(1, _STEM, size=7, stride=stride)
        self.pooler = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pooler(self.embedder(x).relu_())
        return pooled


class _Stage(nn.Module):
    """Residual blocks, of which the first changes the width and halves both axes where the stride is 2."""

    def __init__(self, inputs: int, width: int, depth: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        first = _Block(inputs, width, stride, bottleneck=bottleneck)
        rest = (_Block(width, width, 1, bottleneck=bottleneck) for _ in range(depth - 1))
        self.layers = nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class _Block(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        unchanged = inputs == width and stride == 1
        self.shortcut = nn.Identity() if unchanged else _Convolution(inputs, width, size=1, stride=stride)
        inner = width // 4
        self.layer = nn.ModuleList(
            [
                _Convolution(inputs, inner, size=1),
                _Convolution(inner, inner, size=3, stride=stride),
                _Convolution(inner, width, size=1),
            ]
            if bottleneck
            else [_Convolution(inputs, width, size=3, stride=stride), _Convolution(width, width, size=3)]
        )

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self.layer
        hidden = x
        for convolution in inner:
            hidden = convolution(hidden).relu_()
        total: Tensor = last(hidden) + self.shortcut(x)
        return total.relu_()


class _Convolution(nn.Module):
    """A convolution that keeps the size but for its stride, and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, *, size: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
        self.normalization = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.normalization(self.convolution(x))
        return normal
