"""A convolutional encoder small enough to be recorded in a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.encoders import Encoder
from soundloom.encoders.layer_collection import collect_layers


class Tiny(Encoder):
    """Three convolutions of any size of image, each halving both axes; layers 1 to 3."""

    available = (1, 2, 3)
    stride = 8

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 8, 16, 32)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(widths[n], widths[n + 1], 3, stride=2, padding=1, bias=n == 1) for n in range(3)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        self.check_wanted(wanted)
        return collect_layers(self._walk(representation), wanted)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        return self.layers(representation, [3])[0].mean(dim=(2, 3))[:, :, None]

    def _walk(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), start=1):
            x = norm(convolution(x)).relu_()
            yield number, x


def unsettle(module: nn.Module) -> None:
    """Give batch normalisations statistics and weights that do something."""
    generator = torch.Generator().manual_seed(3)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.running_var):
                tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
            for tensor in (norm.bias, norm.running_mean):
                tensor.data = torch.randn(tensor.shape, generator=generator) / 10
