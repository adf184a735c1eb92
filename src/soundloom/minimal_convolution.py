"""Convolutions of small images in fewer products, for graphs that are recorded (Winograd 1980; Lavin and Gray 2016).

Sums of products along one axis, as y0 = b x0 + c x1, y1 = a x0 + b x1 for two numbers, zeros beyond them and the
filter (a, b, c), need fewer products than they have terms:

    m0 = b (x0 + x1),  m1 = (c - b) x1,  m2 = (a - b) x0;    y0 = m0 + m1,  y1 = m0 + m2.

Such an algorithm is a list of `Term`: what the filter's taps are combined to, which sums of the inputs that number
multiplies, and to which outputs the products are added. Along two axes every pair of terms is a term. A product of an
image's numbers is one of matrices then, channels in by channels out, for all images at once; sums of inputs and outputs
are products with constant matrices, too. So a convolution is a few large matrix products, which read the filters once
for all images, where runtimes that convolve image by image read them for each.

Rounding differs from a direct convolution's by some 1e-6 of the largest number.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.encoders import ResNet
from soundloom.errors import ModelError

__all__ = ["FewerProducts", "MinimalConvolution", "Term", "terms_of"]

_FEW = 24
"""Positions of an image up to which this is faster than convolving; above, runtimes do as well with the filters."""

_POINTS = (0.0, 1.0, -1.0, 2.0, -0.5)
"""Where polynomials are evaluated, beside infinity: small numbers, for the sake of rounding (Lavin and Gray 2016)."""


class Term:
    """One number that a filter's taps are combined to, along one axis or two.

    Attributes:
        taps: by what each tap counts.
        takes: from the inputs to the sums that the number multiplies.
        gives: from the products to the outputs.
    """

    def __init__(
        self,
        taps: Float[np.ndarray, " taps"],
        takes: Float[np.ndarray, "products inputs"],
        gives: Float[np.ndarray, "outputs products"],
    ) -> None:
        self.taps, self.takes, self.gives = taps, takes, gives

    def times(self, other: Term) -> Term:
        """The term along two axes, of this one along the first and another along the second."""
        pairs = zip((self.taps, self.takes, self.gives), (other.taps, other.takes, other.gives), strict=True)
        return Term(*(np.kron(first, second) for first, second in pairs))


def terms_of(length: int, taps: int, stride: int) -> list[Term]:
    """How an axis is convolved, half of the taps reaching over either end.

    Args:
        length: numbers along the axis.
        taps: of the filter, an odd number.
        stride: from one output to the next.
    """
    if (taps, stride) == (3, 1):
        if length == 2:
            return [
                Term(np.array([0.0, 1, 0]), np.array([[1.0, 1]]), np.array([[1.0], [1]])),
                Term(np.array([0.0, -1, 1]), np.array([[0.0, 1]]), np.array([[1.0], [0]])),
                Term(np.array([1.0, -1, 0]), np.array([[1.0, 0]]), np.array([[0.0], [1]])),
            ]
        for tile in (4, 3):
            if length % tile == 0:
                return _by_tiles(length, tile)
    return _one_by_one(length, taps, stride)


def _one_by_one(length: int, taps: int, stride: int) -> list[Term]:
    """Every tap a term: as many products as a convolution has that leaves out what lies beyond the ends."""
    outputs = -(-length // stride)
    terms = []
    for tap in range(taps):
        pairs = [(output, output * stride + tap - taps // 2) for output in range(outputs)]
        inside = [(output, place) for output, place in pairs if 0 <= place < length]
        takes, gives = np.zeros((len(inside), length)), np.zeros((outputs, len(inside)))
        for number, (output, place) in enumerate(inside):
            takes[number, place] = gives[output, number] = 1
        terms.append(Term(np.eye(taps)[tap], takes, gives))
    return [term for term in terms if len(term.takes)]


def _by_tiles(length: int, tile: int) -> list[Term]:
    """Three taps over tiles of so many outputs, each by the transpose of Toom's and Cook's product of polynomials."""
    size = tile + 2
    # Polynomials of degree tile - 1 and 2 are multiplied by way of their values at points, the last at infinity.
    values = [_values(size, count) for count in (tile, 3, size)]
    to_outputs, of_taps, of_inputs = values[0].T, values[1], np.linalg.inv(values[2]).T
    tiles = range(length // tile)
    takes = np.zeros((size, len(tiles), length + 2))
    gives = np.zeros((size, length, len(tiles)))
    for number in tiles:
        first = number * tile
        takes[:, number, first : first + size] = of_inputs
        gives[:, first : first + tile, number] = to_outputs.T
    return [Term(of_taps[point], takes[point, :, 1:-1], gives[point]) for point in range(size)]


def _values(points: int, coefficients: int) -> Float[np.ndarray, "{points} {coefficients}"]:
    """From a polynomial's coefficients to its values at the points, the last of which is infinity."""
    values = np.vander(np.array([*_POINTS[: points - 1], 0.0]), coefficients, increasing=True)
    values[-1] = np.arange(coefficients) == coefficients - 1
    return values


class MinimalConvolution(nn.Module):
    """A convolution and the batch normalisation after it, of images of one size as ``[positions, batch, channels]``.

    Args:
        convolution: as wide as high, of an odd size, half of which it pads with zeros; without bias.
        normalisation: with its statistics, which no longer change.
        size: height and width of the images.
    """

    takes: Tensor
    gives: Tensor
    taps: Tensor

    def __init__(self, convolution: nn.Conv2d, normalisation: nn.BatchNorm2d, size: tuple[int, int]) -> None:
        super().__init__()
        self.convolution, self.normalisation = convolution, normalisation
        taps, stride = int(convolution.kernel_size[0]), int(convolution.stride[0])
        terms = [first.times(second) for first, second in product(*(terms_of(length, taps, stride) for length in size))]
        self.rows = [len(term.takes) for term in terms]
        for name, matrix in (
            ("taps", np.stack([term.taps for term in terms])),
            ("takes", np.concatenate([term.takes for term in terms])),
            ("gives", np.concatenate([term.gives for term in terms], axis=1)),
        ):
            self.register_buffer(name, torch.from_numpy(matrix).float(), persistent=False)

    def forward(self, images: Float[Tensor, "positions batch channels"]) -> Float[Tensor, "_positions batch _outputs"]:
        """What convolution and normalisation give."""
        assert self.normalisation.running_mean is not None
        assert self.normalisation.running_var is not None
        batch = images.shape[1]
        scale = self.normalisation.weight / (self.normalisation.running_var + self.normalisation.eps).sqrt()
        shift = self.normalisation.bias - self.normalisation.running_mean * scale
        outputs, channels = self.convolution.weight.shape[:2]
        # All of this is of weights alone, and done once when a graph is opened.
        filters = self.taps @ self.convolution.weight.flatten(2).flatten(0, 1).T
        filters = torch.unflatten(filters, 1, (outputs, channels)) * scale[:, None]
        sums = torch.unflatten(self.takes @ images.flatten(1), 1, (batch, channels)).flatten(0, 1)
        parts = torch.split(sums, [rows * batch for rows in self.rows])
        products = torch.cat([part @ filters[number].T for number, part in enumerate(parts)])
        together = self.gives @ torch.unflatten(products, 0, (sum(self.rows), batch)).flatten(1)
        return torch.unflatten(together, 1, (batch, outputs)) + shift


class FewerProducts(nn.Module):
    """The stages of a ResNet for images of one size, small ones convolved by `MinimalConvolution`.

    Args:
        encoder: of basic blocks.
        size: height and width of its input.

    Raises:
        ModelError: it is of bottlenecks.
    """

    def __init__(self, encoder: ResNet, size: tuple[int, int]) -> None:
        super().__init__()
        if encoder.settings.bottleneck:
            raise ModelError("a ResNet of bottlenecks is not recorded in fewer products")
        self.stem = encoder.resnet.embedder
        for stride in (encoder.settings.stem_stride, 2):
            size = _strided(size, stride)
        self.stages = nn.ModuleList()
        self.sizes: list[tuple[int, int]] = []
        stages: Any = encoder.resnet.encoder.stages
        for stage in stages:
            blocks: list[_Block] = []
            for block in stage.layers:
                blocks.append(_Block(block, size))
                size = blocks[-1].size
            self.stages.append(nn.Sequential(*blocks))
            self.sizes.append(size)

    def layers(
        self, images: Float[Tensor, "batch 1 height width"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _height _width"]]:
        """The wanted stages, counted from 1."""
        x = self.stem(images)
        found = {}
        for number, (stage, size) in enumerate(zip(self.stages, self.sizes, strict=True), start=1):
            x = stage(x)
            found[number] = torch.unflatten(x, 0, size).permute(2, 3, 0, 1) if _is_small(size) else x
        return [found[number] for number in wanted]


class _Block(nn.Module):
    """A residual block on images of one size, as ``[positions, batch, channels]`` where they are small.

    Attributes:
        size: height and width of what it gives.
    """

    def __init__(self, block: Any, size: tuple[int, int]) -> None:
        super().__init__()
        first, last = block.layer
        self.size = _strided(size, first.convolution.stride[0])
        self.shrinks = _is_small(self.size) and not _is_small(size)
        self.first, self.last = _exchanged(first, size), _exchanged(last, self.size)
        self.shortcut = block.shortcut if isinstance(block.shortcut, nn.Identity) else _exchanged(block.shortcut, size)

    def forward(self, x: Tensor) -> Tensor:
        hidden, beside = self.first(x).relu(), self.shortcut(x)
        if self.shrinks:
            hidden, beside = (images.permute(2, 3, 0, 1).flatten(0, 1) for images in (hidden, beside))
        total: Tensor = self.last(hidden) + beside
        return total.relu()


def _exchanged(step: Any, size: tuple[int, int]) -> nn.Module:
    """A convolution and normalisation of the encoder's, or what computes the same of small images."""
    exchanged: nn.Module = step
    if _is_small(size):
        exchanged = MinimalConvolution(step.convolution, step.normalization, size)
    return exchanged


def _is_small(size: tuple[int, int]) -> bool:
    return size[0] * size[1] <= _FEW


def _strided(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """What a convolution that pads by half of its taps makes of a size."""
    return -(-size[0] // stride), -(-size[1] // stride)
