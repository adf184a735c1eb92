"""YAMNet (Plakal and Ellis 2019, tensorflow/models): MobileNetV1 on log-mel patches, 521 AudioSet classes.

Layer 1 is the first convolution, layers 2 to 14 the depthwise separable blocks (Howard et al. 2017, table 1), numbered
as the published code names them. The customary embedding is the average of layer 14 over frequency and time: 1024
numbers a patch of 96 frames by 64 bins. The published network sees time x frequency images; its kernels are transposed
when weights are loaded, so that callers keep [batch, channel, frequency, time].

Differences from `soundloom.encoders.MobileNetV1`: ReLU without the cut at 6, batch normalisation without scale and with
epsilon 1e-4, and the classes' layer.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.audioset import yamnet_classes
from soundloom.encoders.base import register_encoder
from soundloom.encoders.layer_collection import ConvolutionalEncoder, check_shape
from soundloom.encoders.mobilenet import BLOCKS, STEM, pad_same

__all__ = ["YAMNet"]

_BINS, _FRAMES = 64, 96
_EPSILON = 1e-4


@register_encoder("YAMNet", presets={"yamnet": lambda: YAMNet()})
class YAMNet(ConvolutionalEncoder):
    """Patches of 64 bins x 96 frames in, block outputs out.

    Attributes:
        layer1 ... layer14: the convolutions, under the published names.
        logits: the classes' layer, from 1024 numbers to 521.
    """

    available = tuple(range(1, len(BLOCKS) + 2))
    stride = 32
    classes = yamnet_classes()

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = _Stem()
        inputs = STEM
        for number, (outputs, stride) in enumerate(BLOCKS, start=2):
            self.add_module(f"layer{number}", _Separable(inputs, outputs, stride))
            inputs = outputs
        self.logits = nn.Linear(inputs, len(self.classes))
        self.reset_parameters()

    def _check_input(self, representation: Tensor) -> None:
        check_shape(self, representation, channels=1, bins=_BINS, frames=_FRAMES)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The published embedding, the average of layer 14: [B, 1024, 1]."""
        return self.layers(representation, self.available[-1:])[0].mean(dim=(2, 3))[:, :, None]

    @property
    def class_layer(self) -> nn.Linear:
        """The classes' layer."""
        return self.logits

    def scores(self, embeddings: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch classes"]:
        """Class probabilities of embeddings of single patches: independent sigmoids, [B, 521]."""
        return torch.sigmoid(self.logits(embeddings))

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        x = representation
        for number in self.available:
            x = self.get_submodule(f"layer{number}")(x)
            yield number, x


class _Stem(nn.Module):
    """The first convolution: 32 filters of 3 x 3, stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, STEM, 3, stride=2, bias=False)
        self.conv_bn = nn.BatchNorm2d(STEM, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv_bn(self.conv(pad_same(x))), inplace=True)


class _Separable(nn.Module):
    """A depthwise convolution of 3 x 3 and a pointwise one, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.strided = stride == 2
        padding = 0 if self.strided else 1
        self.depthwise_conv = nn.Conv2d(inputs, inputs, 3, stride=stride, padding=padding, groups=inputs, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(inputs, eps=_EPSILON)
        self.pointwise_conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pointwise_bn = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        if self.strided:
            x = pad_same(x)
        x = functional.relu(self.depthwise_bn(self.depthwise_conv(x)), inplace=True)
        return functional.relu(self.pointwise_bn(self.pointwise_conv(x)), inplace=True)
