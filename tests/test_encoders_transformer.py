"""The transformer of diverse embeddings against its equations, written as loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders import Transformer, TransformerSettings
from soundloom.encoders.transformer import sinusoids


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def built(**settings: object) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerSettings(**settings)).eval().requires_grad_(False)  # type: ignore[arg-type]


def attention(tokens: Tensor, joint: nn.Linear, mix: nn.Linear, heads: int, width: int) -> Tensor:
    """Vaswani et al. 2017, equation 1, head by head and token by token: [T, D] -> [T, D]."""
    inner = heads * width
    projected = tokens.double() @ joint.weight.double().T + joint.bias.double()
    queries, keys, values = projected[:, :inner], projected[:, inner : 2 * inner], projected[:, 2 * inner :]
    out = torch.zeros(len(tokens), inner, dtype=torch.float64)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for here in range(len(tokens)):
            scores = [float(queries[here, own] @ keys[there, own]) / math.sqrt(width) for there in range(len(tokens))]
            total = sum(math.exp(score) for score in scores)
            for there, score in enumerate(scores):
                out[here, own] += math.exp(score) / total * values[there, own]
    return out @ mix.weight.double().T + mix.bias.double()


def normal(tokens: Tensor, norm: nn.Module) -> Tensor:
    assert isinstance(norm, nn.LayerNorm)
    centred = tokens - tokens.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
    return scaled * norm.weight.double() + norm.bias.double()


@pytest.mark.parametrize("norm_first", [True, False])
def test_blocks_are_the_equations(norm_first: bool) -> None:
    encoder = built(bins=5, width=8, depth=2, heads=3, head_width=2, hidden=11, pool_after=(1,), norm_first=norm_first)
    representation = noise(1, 1, 5, 7)
    tokens = representation[0, 0].T.double() @ encoder.projection.weight.double().T + encoder.projection.bias.double()
    tokens = tokens + sinusoids(7, 8)
    expected = []
    for number, block in enumerate(encoder.blocks, start=1):

        def attend(x: Tensor, block: nn.Module = block) -> Tensor:
            return attention(x, block.queries_keys_values, block.mix, 3, 2)

        def perceive(x: Tensor, block: nn.Module = block) -> Tensor:
            first, _, _, second = block.perceptron
            hidden = (x @ first.weight.double().T + first.bias.double()).clamp(min=0)
            return hidden @ second.weight.double().T + second.bias.double()

        if norm_first:
            tokens = tokens + attend(normal(tokens, block.attention_norm))
            tokens = tokens + perceive(normal(tokens, block.perceptron_norm))
        else:
            tokens = normal(tokens + attend(tokens), block.attention_norm)
            tokens = normal(tokens + perceive(tokens), block.perceptron_norm)
        if number == 1:
            tokens = torch.stack([tokens[2 * i : 2 * i + 2].amax(0) for i in range(3)])  # the seventh is left over
        expected.append(normal(tokens, encoder.norm) if norm_first else tokens)
    for layer, plain in zip(encoder.layers(representation, [1, 2]), expected, strict=True):
        torch.testing.assert_close(layer[0, :, 0].T.double(), plain, rtol=0, atol=1e-5)


def test_positions_are_sines_and_cosines() -> None:
    positions = sinusoids(50, 64)
    for frame in (0, 1, 7, 49):
        for pair in range(32):
            angle = frame / 10_000 ** (2 * pair / 64)
            assert positions[frame, 2 * pair].item() == pytest.approx(math.sin(angle), abs=2e-6)
            assert positions[frame, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=2e-6)


def test_forty_tokens_become_five_and_their_mean_the_embedding() -> None:
    encoder = built()
    representation = noise(3, 1, 80, 40)
    layers = encoder.layers(representation, encoder.available)
    assert [layer.shape[3] for layer in layers] == [40, 20, 20, 10, 10, 5]
    assert all(layer.shape[:3] == (3, 64, 1) for layer in layers)
    torch.testing.assert_close(encoder.baseline(representation), layers[-1].mean(dim=3))


def test_channels_and_bins_are_one_axis() -> None:
    split, joined = built(channels=3, bins=4), built(channels=1, bins=12)
    representation = noise(2, 3, 4, 9)
    assert torch.equal(split.baseline(representation), joined.baseline(representation.reshape(2, 1, 12, 9)))


def test_the_order_of_frames_matters() -> None:
    encoder = built(pool_after=())
    representation = noise(1, 1, 80, 10)
    assert not torch.allclose(encoder.baseline(representation), encoder.baseline(representation.flip(3)), atol=1e-3)


def test_units_are_dropped_in_training_only() -> None:
    encoder = built()
    representation = noise(1, 1, 80, 16)
    assert torch.equal(encoder.baseline(representation), encoder.baseline(representation))
    encoder.train()
    assert not torch.equal(encoder.baseline(representation), encoder.baseline(representation))


@pytest.mark.parametrize("half", ["attention", "perceptron"])
def test_either_half_of_a_block_drops_units(half: str) -> None:
    block = built().blocks[0].train()
    tokens = noise(1, 16, 64)
    assert not torch.equal(getattr(block, half)(tokens), getattr(block, half)(tokens))


def test_without_pools_every_frame_stays() -> None:
    encoder = built(pool_after=())
    assert encoder.stride == 1
    assert encoder.layers(noise(1, 1, 80, 1), [6])[0].shape == (1, 64, 1, 1)


def test_too_few_frames_for_the_pools_are_refused() -> None:
    encoder = built()
    assert encoder.baseline(noise(1, 1, 80, 8)).shape == (1, 64, 1)
    with pytest.raises(ValueError, match=r"\[batch, 1, 80, time >= 8\], got \[1, 1, 80, 7\]"):
        encoder.baseline(noise(1, 1, 80, 7))


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be even, got 63"):
        TransformerSettings(width=63)
    with pytest.raises(ValueError, match=r"names blocks \[0, 7\], but there are blocks 1 to 6"):
        TransformerSettings(pool_after=(0, 2, 7))


def test_a_gradient_step_lowers_the_loss() -> None:
    encoder = built(depth=2, pool_after=(2,)).requires_grad_(True)
    representation, target = noise(8, 1, 80, 10), noise(8, 64, 1)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    losses = []
    for _ in range(5):
        loss = functional.mse_loss(encoder.baseline(representation), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
