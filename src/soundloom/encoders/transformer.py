"""Small transformer of Verma 2023, section 3, with optional pooling over time between blocks.

The frames of a representation (channels and bins flattened) are projected to 64 numbers, sinusoidal positions are
added, six blocks of attention with 12 heads and a perceptron of 256 units follow, and the average over time is the
embedding. What the paper leaves open is read so:

- "Each of the outputs after two Transformer modules is followed by a Max-Pooling block, which reduces [...] the
  number of tokens by a factor of 2": after blocks 2, 4 and 6. Forty tokens become 20, 10 and 5, and those five are
  averaged. A layer is what comes out of its pool, as in the tables of Niizumi 2022.
- 12 does not divide 64, so that a head needs a width of its own: 6, the next whole number above 64 / 12.
- "dropout rate of 0.3 in the attention and MLP layers": on the attention weights and on the 256 hidden units.
- The norm comes first in each block, with one more over every layer that is handed out. Vaswani et al. 2017 have it
  last, which trains badly without a warm-up of the learning rate, and the paper has none.
- The perceptron's activation is a ReLU, as in Vaswani et al. 2017.

At least one token must survive the pools: 8 frames with the defaults.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders.base import register_encoder
from soundloom.encoders.dropout import Dropout, dropout
from soundloom.encoders.layer_collection import WalkedEncoder, check_shape
from soundloom.errors import InvalidArgumentError

__all__ = ["Transformer", "TransformerSettings", "sinusoids"]


@dataclass(frozen=True, kw_only=True)
class TransformerSettings:
    """The size of a transformer; the defaults are the paper's, where it gives one.

    Attributes:
        channels: channels of the representation.
        bins: bins of the representation.
        width: size of a token; even, for its positions are pairs of sine and cosine.
        depth: number of blocks.
        heads: attention heads.
        head_width: size of a head's queries, keys and values.
        hidden: units of the perceptron.
        dropout: share of attention weights and hidden units dropped in training.
        pool_after: blocks after which the maximum of two neighbouring tokens is taken.
        norm_first: whether a block normalises what it takes (True) or what it gives (False).
    """

    channels: int = 1
    bins: int = 80
    width: int = 64
    depth: int = 6
    heads: int = 12
    head_width: int = 6
    hidden: int = 256
    dropout: float = 0.3
    pool_after: tuple[int, ...] = (2, 4, 6)
    norm_first: bool = True

    def __post_init__(self) -> None:
        if self.width % 2:
            raise InvalidArgumentError(f"width must be even, got {self.width}")
        strangers = [block for block in self.pool_after if not 1 <= block <= self.depth]
        if strangers:
            raise InvalidArgumentError(f"pool_after names blocks {strangers}, but there are blocks 1 to {self.depth}")


@register_encoder("Transformer", settings=TransformerSettings, presets={"transformer": lambda: Transformer()})
class Transformer(WalkedEncoder):
    """Frames in, tokens out: [B, C, F, T] -> [B, 64, 1, T'].

    Attributes:
        projection: from a frame, channels before bins, to a token.
        blocks: attention and perceptron.
        norm: over every layer handed out, where the blocks normalise first; else nothing.
    """

    def __init__(self, settings: TransformerSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or TransformerSettings()
        self.available = tuple(range(1, settings.depth + 1))
        self.stride = 2 ** len(settings.pool_after)
        self.projection = nn.Linear(settings.channels * settings.bins, settings.width)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.depth))
        self.norm = nn.LayerNorm(settings.width) if settings.norm_first else nn.Identity()

    def extra_repr(self) -> str:
        """The settings: what, besides the weights, decides the layers."""
        return repr(self.settings)

    def _check_input(self, representation: Tensor) -> None:
        settings, shortest = self.settings, 2 ** len(self.settings.pool_after)
        check_shape(self, representation, channels=settings.channels, bins=settings.bins, min_frames=shortest)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The average of the last layer's tokens: [B, 64, 1]."""
        (last,) = self.layers(representation, self.available[-1:])
        return last.mean(dim=3)

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        tokens = self.projection(representation.flatten(1, 2).transpose(1, 2))  # [B, T, D]
        tokens = tokens + sinusoids(tokens.shape[1], tokens.shape[2]).to(tokens)
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens)
            if number in self.settings.pool_after:
                tokens = functional.max_pool1d(tokens.transpose(1, 2), 2).transpose(1, 2)
            yield number, self.norm(tokens).transpose(1, 2)[:, :, None]


class _Block(nn.Module):
    """Attention, then a perceptron, each beside a residual connection: [B, T, D] -> [B, T, D]."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        width, inner = settings.width, settings.heads * settings.head_width
        self.heads = settings.heads
        self.dropout = settings.dropout
        self.norm_first = settings.norm_first
        self.attention_norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * inner)
        self.mix = nn.Linear(inner, width)
        self.perceptron_norm = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, settings.hidden),
            nn.ReLU(),
            Dropout(settings.dropout),
            nn.Linear(settings.hidden, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        if self.norm_first:
            tokens = tokens + self.attention(self.attention_norm(tokens))
            tokens = tokens + _linear(self.perceptron, self.perceptron_norm(tokens))
        else:
            tokens = self.attention_norm(tokens + self.attention(tokens))
            tokens = self.perceptron_norm(tokens + _linear(self.perceptron, tokens))
        return tokens

    def attention(self, tokens: Tensor) -> Tensor:
        """Every token looks at all: softmax(q k' / sqrt(head width)) v in each head, heads mixed linearly."""
        # [B, T, 3 H W] -> three of [B, H, T, W]
        joint = torch.unflatten(_linear(self.queries_keys_values, tokens), 2, (3, self.heads, -1))
        queries, keys, values = joint.permute(2, 0, 3, 1, 4).unbind()
        dropped = self.dropout if self.training else 0.0
        if (dropped and tokens.device.type == "cpu") or torch.compiler.is_compiling():
            shares = (queries @ keys.mT * queries.shape[3] ** -0.5).softmax(dim=3)
            seen = dropout(shares, dropped) @ values
        else:
            seen = functional.scaled_dot_product_attention(queries, keys, values, dropout_p=dropped)
        return _linear(self.mix, seen.transpose(1, 2).flatten(2))


def _linear(layer: nn.Module, tokens: Float[Tensor, "batch time _dim"]) -> Float[Tensor, "batch time _outputs"]:
    """A linear layer, or several, of every token: as one matrix product in recorded graphs, too."""
    return torch.unflatten(layer(tokens.flatten(0, 1)), 0, tokens.shape[:2])


def sinusoids(frames: int, width: int) -> Float[Tensor, "{frames} {width}"]:
    """Positions as in Vaswani et al. 2017, section 3.5: sines at even places, cosines of the same angle after them.

    The wavelengths grow geometrically from 2 pi to 10000 times 2 pi.
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(frames)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
