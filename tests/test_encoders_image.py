"""ResNet and MobileNetV1 against the transformers library."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from soundloom.encoders import MobileNetV1, ResNet, ResNetSettings


@pytest.fixture(scope="module")
def transformers() -> ModuleType:
    return pytest.importorskip("transformers")


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def shake_norms(model: nn.Module) -> None:
    """Give batch normalisation statistics and weights that matter."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(std=0.1, generator=generator)


@pytest.mark.parametrize("bottleneck", [True, False])
def test_resnet_agrees(transformers: ModuleType, bottleneck: bool) -> None:
    settings = ResNetSettings(depths=(2, 1, 3), widths=(64, 32, 48), bottleneck=bottleneck, dim=5)
    reference = transformers.ResNetModel(
        transformers.ResNetConfig(
            num_channels=1,
            hidden_sizes=[64, 32, 48],
            depths=[2, 1, 3],
            layer_type="bottleneck" if bottleneck else "basic",
        )
    ).eval()
    shake_norms(reference)
    encoder = ResNet(settings).eval()
    encoder.resnet.load_state_dict(reference.state_dict(), strict=True)
    representation = noise(2, 1, 64, 50)
    with torch.no_grad():
        outputs = reference(representation, output_hidden_states=True)
        *stages, output = encoder.layers(representation, encoder.available)
        for stage, theirs in zip(stages, outputs.hidden_states[1:], strict=True):
            torch.testing.assert_close(stage, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())
        expected = encoder.output(outputs.pooler_output[:, :, 0, 0])
        torch.testing.assert_close(output[:, :, 0, 0], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(encoder.baseline(representation)[:, :, 0], expected, rtol=1e-5, atol=1e-5)


def test_without_the_first_stride_four_times_as_much_is_kept() -> None:
    settings = {"depths": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "bottleneck": False}
    representation = noise(1, 1, 64, 96)
    for stem_stride, stride, shape in [(2, 32, (1, 8, 2, 3)), (1, 16, (1, 8, 4, 6))]:  # 4 x 6 in Hershey et al. 2017
        encoder = ResNet(ResNetSettings(stem_stride=stem_stride, **settings)).eval()
        assert encoder.stride == stride
        assert encoder.layers(representation, [4])[0].shape == shape


def test_resnet_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"depths \(1, 1\) and widths \(8,\)"):
        ResNetSettings(depths=(1, 1), widths=(8,), bottleneck=False)
    with pytest.raises(ValueError, match="must be 1 or 2, got 3"):
        ResNetSettings(depths=(1,), widths=(8,), bottleneck=False, stem_stride=3)


@pytest.mark.parametrize("size", [(64, 96), (64, 10), (63, 33)])
def test_mobilenet_agrees(transformers: ModuleType, size: tuple[int, int]) -> None:
    reference = transformers.MobileNetV1Model(transformers.MobileNetV1Config(num_channels=1)).eval()
    encoder = MobileNetV1().eval()
    shake_norms(encoder)
    reference.load_state_dict(encoder.mobilenet_v1.state_dict(), strict=True)
    representation = noise(2, 1, *size)
    with torch.no_grad():
        outputs = reference(representation, output_hidden_states=True)
        *blocks, average = encoder.layers(representation, encoder.available)
        # The library lists the depthwise half of each block too.
        for block, theirs in zip(blocks, outputs.hidden_states[1::2], strict=True):
            torch.testing.assert_close(block, theirs, rtol=0, atol=1e-5)
        torch.testing.assert_close(average[:, :, 0, 0], outputs.pooler_output, rtol=0, atol=1e-5)


def test_a_tenth_of_a_second_is_enough_for_mobilenet() -> None:
    encoder = MobileNetV1().eval()
    with torch.no_grad():
        assert encoder.layers(noise(3, 1, 64, 10), [13])[0].shape == (3, 1024, 2, 1)
        assert encoder.baseline(noise(3, 1, 64, 10)).shape == (3, 1024, 1)
