"""VGGish, CNN14 and COALA against their published descriptions, written out plainly."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from soundloom.encoders import CNN14, COALAAudioEncoder, COALASettings, COALATagEncoder, VGGish

Shapes = dict[str, tuple[int, ...]]


def batch_norm(key: str, channels: int) -> Shapes:
    vectors = dict.fromkeys([f"{key}.weight", f"{key}.bias", f"{key}.running_mean", f"{key}.running_var"], (channels,))
    return {**vectors, f"{key}.num_batches_tracked": ()}


def affine(key: str, *shape: int) -> Shapes:
    return {f"{key}.weight": shape, f"{key}.bias": shape[:1]}


def checkpoint(shapes: Shapes) -> dict[str, Tensor]:
    """Seeded numbers under published keys, scaled to keep activations near one."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif key.endswith("running_var"):
            state[key] = torch.rand(shape, generator=generator) + 0.5
        else:
            fan_in = max(1, torch.Size(shape[1:]).numel())
            state[key] = torch.randn(shape, generator=generator) * (2 / fan_in if fan_in > 1 else 0.2) ** 0.5
    return state


def normalise(state: dict[str, Tensor], key: str, x: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + 1e-5) x weight + bias, channel by channel."""
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, variance, weight, bias = (
        state[f"{key}.{part}"].reshape(shape) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def assert_near(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


VGGISH = (
    affine("features.0", 64, 1, 3, 3)
    | affine("features.3", 128, 64, 3, 3)
    | affine("features.6", 256, 128, 3, 3)
    | affine("features.8", 256, 256, 3, 3)
    | affine("features.11", 512, 256, 3, 3)
    | affine("features.13", 512, 512, 3, 3)
    | affine("embeddings.0", 4096, 12288)
    | affine("embeddings.2", 4096, 4096)
    | affine("embeddings.4", 128, 4096)
)


@pytest.fixture(scope="module")
def vggish() -> tuple[VGGish, dict[str, Tensor]]:
    with torch.device("meta"):
        encoder = VGGish().eval()
    state = checkpoint(VGGISH)
    encoder.load_state_dict(state, strict=True, assign=True)
    return encoder, state


def test_vggish_is_table_one(vggish: tuple[VGGish, dict[str, Tensor]]) -> None:
    encoder, state = vggish
    examples = noise(2, 1, 64, 96)
    with torch.no_grad():
        got = encoder.layers(examples, encoder.available)

        x = examples.transpose(2, 3)
        expected = []
        for index, pooled in [(0, True), (3, True), (6, False), (8, True), (11, False), (13, True)]:
            x = functional.conv2d(
                x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1
            ).clamp(min=0)
            expected.append(x.transpose(2, 3))
            x = functional.max_pool2d(x, 2) if pooled else x
        # In the order time, frequency, channel.
        x = torch.stack([x[:, :, time, bin_] for time in range(6) for bin_ in range(4)], dim=1).reshape(2, 12288)
        for index in (0, 2, 4):
            x = (x @ state[f"embeddings.{index}.weight"].T + state[f"embeddings.{index}.bias"]).clamp(min=0)
            expected.append(x[:, :, None, None])
    assert [tuple(layer.shape[1:]) for layer in got] == [
        (64, 64, 96),
        (128, 32, 48),
        (256, 16, 24),
        (256, 16, 24),
        (512, 8, 12),
        (512, 8, 12),
        (4096, 1, 1),
        (4096, 1, 1),
        (128, 1, 1),
    ]
    for layer, plain in zip(got, expected, strict=True):
        assert_near(layer, plain)
    with torch.no_grad():
        assert_near(encoder.baseline(examples), expected[-1][..., 0])


def test_vggish_takes_no_other_length_than_96_frames(vggish: tuple[VGGish, dict[str, Tensor]]) -> None:
    with pytest.raises(ValueError, match=r"takes a representation \[batch, 1, 64, 96\], got \[1, 1, 64, 97\]"):
        vggish[0].layers(torch.zeros(1, 1, 64, 97), [2])


def cnn14_shapes() -> Shapes:
    shapes = batch_norm("bn0", 64)
    channels = (1, 64, 128, 256, 512, 1024, 2048)
    for block, (inputs, outputs) in enumerate(pairwise(channels), start=1):
        shapes[f"conv_block{block}.conv1.weight"] = (outputs, inputs, 3, 3)
        shapes[f"conv_block{block}.conv2.weight"] = (outputs, outputs, 3, 3)
        shapes |= batch_norm(f"conv_block{block}.bn1", outputs) | batch_norm(f"conv_block{block}.bn2", outputs)
    return shapes | affine("fc1", 2048, 2048) | affine("fc_audioset", 527, 2048)


@pytest.fixture(scope="module")
def cnn14() -> tuple[CNN14, dict[str, Tensor]]:
    shapes = cnn14_shapes()
    assert len(shapes) == 84 - 3, "the published file has 84 keys, of which three are the front-end's"
    with torch.device("meta"):
        encoder = CNN14().eval()
    state = checkpoint(shapes)
    encoder.load_state_dict(state, strict=True, assign=True)
    return encoder, state


def test_cnn14_is_table_two(cnn14: tuple[CNN14, dict[str, Tensor]]) -> None:
    encoder, state = cnn14
    representation = noise(2, 1, 64, 71)
    with torch.no_grad():
        got = encoder.layers(representation, encoder.available)

        x = representation.transpose(2, 3)  # [B, 1, T, F]
        x = normalise(state, "bn0", x.transpose(1, 3)).transpose(1, 3)
        expected = []
        for block in range(1, 7):
            for half in (1, 2):
                x = functional.conv2d(x, state[f"conv_block{block}.conv{half}.weight"], padding=1)
                x = normalise(state, f"conv_block{block}.bn{half}", x).clamp(min=0)
            x = functional.avg_pool2d(x, 2) if block < 6 else x
            expected.append(x.transpose(2, 3))
        x = x.mean(dim=3)
        x = x.max(dim=2).values + x.mean(dim=2)
        embedding = (x @ state["fc1.weight"].T + state["fc1.bias"]).clamp(min=0)
        tags = 1 / (1 + (-(embedding @ state["fc_audioset.weight"].T + state["fc_audioset.bias"])).exp())
    assert [tuple(layer.shape[1:]) for layer in got] == [
        (64, 32, 35),
        (128, 16, 17),
        (256, 8, 8),
        (512, 4, 4),
        (1024, 2, 2),
        (2048, 2, 2),
    ]
    for layer, plain in zip(got, expected, strict=True):
        assert_near(layer, plain)
    with torch.no_grad():
        assert_near(encoder.baseline(representation), embedding[:, :, None])
        assert_near(encoder.tags(representation), tags)


def test_cnn14_needs_32_frames(cnn14: tuple[CNN14, dict[str, Tensor]]) -> None:
    with pytest.raises(ValueError, match=r"\[batch, 1, 64, time >= 32\], got \[1, 1, 64, 31\]"):
        cnn14[0].baseline(torch.zeros(1, 1, 64, 31))
    with torch.no_grad():
        assert cnn14[0].layers(noise(1, 1, 64, 32), [6])[0].shape == (1, 2048, 2, 1)


def coala_shapes() -> Shapes:
    shapes = {"fc_audio.0.weight": (1152, 1152)}
    for block, key in enumerate((0, 4, 8, 12, 16)):
        shapes |= affine(f"audio_encoder.{key}", 128, 128 if block else 1, 4, 4)
        shapes |= batch_norm(f"audio_encoder.{key + 1}", 128)
    return shapes


@pytest.mark.parametrize("published", [False, True])
def test_coala_is_the_published_network(published: bool) -> None:
    state = checkpoint(coala_shapes())
    encoder = COALAAudioEncoder(COALASettings(published=published)).eval()
    ranges = {"frame_scale": noise(96), "frame_shift": noise(96)} if published else {}
    encoder.load_state_dict({**state, **ranges}, strict=True)
    patches = noise(2, 1, 96, 96).sigmoid()

    def order(x: torch.Tensor) -> torch.Tensor:
        return x if published else x.transpose(2, 3)

    with torch.no_grad():
        *maps, z = encoder.layers(patches, encoder.available)
        x = order(patches * ranges["frame_scale"] + ranges["frame_shift"] if published else patches)
        for key, layer in zip((0, 4, 8, 12, 16), maps, strict=True):
            x = functional.conv2d(x, state[f"audio_encoder.{key}.weight"], state[f"audio_encoder.{key}.bias"], 2, 1)
            x = normalise(state, f"audio_encoder.{key + 1}", x).clamp(min=0)
            assert_near(layer, order(x))
        assert_near(z[:, :, 0, 0], x.reshape(2, 1152))
        assert_near(encoder.baseline(patches), x.reshape(2, 1152, 1))
        assert_near(encoder.align(x.reshape(2, 1152)), x.reshape(2, 1152) @ state["fc_audio.0.weight"].T)


def test_coala_reads_tags_as_published() -> None:
    shapes: Shapes = {"fc_tag.0.weight": (1152, 1152)}
    for key, outputs, inputs in [(0, 512, 1000), (4, 512, 512), (8, 1152, 512)]:
        shapes |= affine(f"tag_encoder.{key}", outputs, inputs) | batch_norm(f"tag_encoder.{key + 1}", outputs)
    state = checkpoint(shapes)
    encoder = COALATagEncoder().eval()
    encoder.load_state_dict(state, strict=True)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 2_697_600
    tags = (noise(3, 1000) > 2).float()
    with torch.no_grad():
        x = tags
        for key in (0, 4, 8):
            x = x @ state[f"tag_encoder.{key}.weight"].T + state[f"tag_encoder.{key}.bias"]
            x = normalise(state, f"tag_encoder.{key + 1}", x).clamp(min=0)
        assert_near(encoder(tags), x)
        assert_near(encoder.align(x), x @ state["fc_tag.0.weight"].T)


def test_coala_refuses_tags_of_another_vocabulary() -> None:
    with pytest.raises(ValueError, match="knows 20 tags, got vectors of 21"):
        COALATagEncoder(vocabulary=20)(torch.zeros(1, 21))


@pytest.mark.parametrize("build", [COALAAudioEncoder, COALATagEncoder])
def test_coala_drops_units_in_training_only(build: type[COALAAudioEncoder] | type[COALATagEncoder]) -> None:
    encoder = build()
    z = noise(2, 1152)
    assert not torch.equal(encoder.align(z), encoder.align(z))
    encoder.eval()
    assert torch.equal(encoder.align(z), encoder.align(z))
