"""Niizumi 2022, equations 1-3, against the equations written as slow loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from soundloom import fusion
from soundloom.embedder import Stream
from soundloom.encoders import Encoder
from soundloom.frontends import LogMel


def random_layer(channels: int, bins: int, time: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, channels, bins, time, generator=torch.Generator().manual_seed(time))


def slow_align(layer: torch.Tensor, frames: int) -> np.ndarray:
    """Equation 1, one number at a time."""
    batch, channels, bins, time = layer.shape
    step = time // frames
    out = np.empty((batch, channels * bins, frames), np.float32)
    for b in range(batch):
        for c in range(channels):
            for f in range(bins):
                for t in range(frames):
                    out[b, c * bins + f, t] = max(float(layer[b, c, f, t * step + s]) for s in range(step))
    return out


@pytest.mark.parametrize(("time", "frames"), [(96, 6), (12, 6), (6, 6), (125, 31), (7, 1)])
def test_align_is_equation_1(time: int, frames: int) -> None:
    layer = random_layer(3, 4, time)
    np.testing.assert_array_equal(fusion.align(layer, frames).numpy(), slow_align(layer, frames))


def test_a_layer_without_time_is_repeated() -> None:
    layer = random_layer(5, 1, 1)
    aligned = fusion.align(layer, 6)
    assert aligned.shape == (2, 5, 6)
    assert torch.equal(aligned, layer[:, :, 0].expand(-1, -1, 6))


def test_a_layer_cannot_gain_time() -> None:
    with pytest.raises(ValueError, match="4 time steps cannot be pooled to 6 frames"):
        fusion.align(random_layer(1, 1, 4), 6)


def test_fuse_is_equation_2() -> None:
    middle, late = random_layer(3, 4, 12), random_layer(5, 2, 6)
    fused = fusion.fuse([middle, late], 6)
    assert fused.shape == (2, 3 * 4 + 5 * 2, 6)
    np.testing.assert_array_equal(fused[:, :12].numpy(), slow_align(middle, 6))
    np.testing.assert_array_equal(fused[:, 12:].numpy(), slow_align(late, 6))


@pytest.mark.parametrize("pooling", fusion.POOLINGS)
def test_pool_against_numpy(pooling: str) -> None:
    frames = random_layer(4, 1, 9)[:, :, 0]
    values = frames.numpy()
    expected = {
        "mean": values.mean(-1),
        "max": values.max(-1),
        "mean+max": values.mean(-1) + values.max(-1),  # equation 3
        "mean,max": np.concatenate([values.mean(-1), values.max(-1)], axis=1),
        "mean,deviation": np.concatenate([values.mean(-1), values.std(-1)], axis=1),
        "mean,variance": np.concatenate([values.mean(-1), values.var(-1)], axis=1),
    }[pooling]
    pooled = fusion.pool(frames, torch.ones(9), pooling)
    assert pooled.shape[1] == fusion.pooled_size(pooling, 4)
    np.testing.assert_allclose(pooled.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("pooling", fusion.POOLINGS)
def test_a_frame_of_double_weight_counts_like_two(pooling: str) -> None:
    frames = random_layer(4, 1, 3)[:, :, 0]
    doubled = torch.cat([frames, frames[..., :1]], dim=-1)
    weighted = fusion.pool(frames, torch.tensor([2.0, 1.0, 1.0]), pooling)
    torch.testing.assert_close(weighted, fusion.pool(doubled, torch.ones(4), pooling))


@pytest.mark.parametrize("pooling", fusion.POOLINGS)
def test_a_frame_of_no_weight_does_not_count(pooling: str) -> None:
    frames = random_layer(4, 1, 3)[:, :, 0]
    with_padding = torch.cat([frames, torch.full((2, 4, 1), 1e6)], dim=-1)
    torch.testing.assert_close(
        fusion.pool(with_padding, torch.tensor([1.0, 1.0, 1.0, 0.0]), pooling),
        fusion.pool(frames, torch.ones(3), pooling),
    )


def test_constant_frames_have_a_gradient() -> None:
    frames = torch.ones(1, 2, 5, requires_grad=True)
    fusion.pool(frames, torch.ones(5), "mean,deviation").sum().backward()
    assert frames.grad is not None
    assert torch.isfinite(frames.grad).all()


def test_pool_refuses_what_it_does_not_know() -> None:
    frames = torch.ones(1, 2, 5)
    with pytest.raises(ValueError, match="no pooling 'median': choose from mean, max"):
        fusion.pool(frames, torch.ones(5), "median")
    with pytest.raises(ValueError, match="every weight is zero"):
        fusion.pool(frames, torch.zeros(5), "mean")


class _Steps(Encoder):
    """Layers of one step less than input // stride, as convolutions without padding give: 149 where it says 150."""

    available = (1, 2)
    stride = 2

    def layers(self, representation: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
        steps = max(1, representation.shape[-1] // self.stride - 1)
        return [representation[..., ::2][..., :steps] * number for number in wanted]


def test_fused_frames_are_as_many_as_the_layers_have() -> None:
    stream = Stream("steps", LogMel.jansen(), _Steps(), layers=(1, 2), pooling="mean")
    samples = 400 + 299 * 160
    assert stream.frontend.frames(samples) == 300
    waveforms = torch.linspace(-0.5, 0.5, samples)[None]
    frames, times = stream.embed_frames(waveforms[0].numpy())
    assert (len(frames), len(times)) == (149, 149)
    assert np.isfinite(frames).all()
    layers = stream.encoder.layers(stream.frontend(waveforms), (1, 2))
    assert np.allclose(frames, fusion.fuse(layers, 149)[0].T.numpy())
    assert np.allclose(stream.embed(waveforms[0].numpy()), frames.mean(axis=0), atol=1e-5)
