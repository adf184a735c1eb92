"""Convolutions in fewer products: that they are the convolutions, and how many products they take."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soundloom.encoders import RESNET50, ResNet, ResNetSettings
from soundloom.errors import ModelError
from soundloom.minimal_convolution import FewerProducts, MinimalConvolution, terms_of

LENGTHS = [1, 2, 3, 4, 5, 6, 8, 9, 12]


@pytest.mark.parametrize(("length", "taps", "stride"), itertools.product(LENGTHS, (1, 3, 5), (1, 2)))
def test_terms_are_the_convolution(length: int, taps: int, stride: int) -> None:
    generator = np.random.default_rng(length)
    row, weights = generator.standard_normal(length), generator.standard_normal(taps)
    padded = np.pad(row, taps // 2)
    expected = [padded[start : start + taps] @ weights for start in range(0, length, stride)]
    got = sum(term.gives @ ((term.taps @ weights) * (term.takes @ row)) for term in terms_of(length, taps, stride))
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("length", "stride", "products"),
    # Directly they are 4, 7, 10 and 16, and with a stride of two 3, 5 and 8.
    [(2, 1, 3), (3, 1, 5), (4, 1, 6), (6, 1, 10), (2, 2, 2), (4, 2, 5), (6, 2, 8)],
)
def test_they_take_few_products(length: int, stride: int, products: int) -> None:
    assert sum(len(term.takes) for term in terms_of(length, 3, stride)) == products


def normalised(inputs: int, outputs: int, taps: int, stride: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    generator = torch.Generator().manual_seed(taps)
    convolution = nn.Conv2d(inputs, outputs, taps, stride=stride, padding=taps // 2, bias=False)
    normalisation = nn.BatchNorm2d(outputs).eval()
    for tensor in (*convolution.parameters(), *normalisation.parameters(), *normalisation.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.5, 2, generator=generator)
    nn.init.normal_(convolution.weight, generator=generator)
    return convolution, normalisation


def rows_of(images: Tensor) -> Tensor:
    return images.permute(2, 3, 0, 1).flatten(0, 1)


@pytest.mark.parametrize("size", [(4, 6), (2, 3), (5, 7), (1, 2)])
@pytest.mark.parametrize(("taps", "stride"), [(3, 1), (3, 2), (1, 1), (1, 2)])
@torch.no_grad()
def test_two_axes_are_torchs_convolution(size: tuple[int, int], taps: int, stride: int) -> None:
    convolution, normalisation = normalised(16, 24, taps, stride)
    images = torch.randn(3, 16, *size, generator=torch.Generator().manual_seed(0))
    expected = normalisation(convolution(images))
    got = MinimalConvolution(convolution, normalisation, size)(rows_of(images))
    torch.testing.assert_close(got, rows_of(expected), rtol=0, atol=3e-6 * float(expected.abs().max()))


@torch.no_grad()
def test_stages_are_those_of_the_encoder() -> None:
    settings = ResNetSettings(depths=(1, 1, 2, 1), widths=(8, 12, 16, 20), bottleneck=False)
    encoder = ResNet(settings).eval()
    images = torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    expected = encoder.layers(images, [2, 3, 4])
    stages = FewerProducts(encoder, (64, 96)).eval()
    assert sum(isinstance(module, MinimalConvolution) for module in stages.modules()) == 6
    for right, got in zip(expected, stages.layers(images, [2, 3, 4]), strict=True):
        torch.testing.assert_close(got, right, rtol=0, atol=1e-5 * float(right.abs().max()))


def test_bottlenecks_are_refused() -> None:
    with pytest.raises(ModelError, match="bottlenecks"):
        FewerProducts(ResNet(RESNET50), (64, 96))
