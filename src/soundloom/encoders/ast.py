"""AST, the Audio Spectrogram Transformer (Gong et al. 2021), its layers numbered as in Niizumi 2022.

A distilled vision transformer over 16 x 16 patches, every 10 frames and 10 bins, of a 128-bin filter bank. Each
layer is its [CLS] token after the final norm: a vector a window, without a time axis (Niizumi 2022, section
IV-A3). Where the last wanted layer is reached, only the two special tokens are carried through it.

The keys are those of the checkpoints published for the transformers library, which has itself renamed its modules
since (it translates on loading); hence the architecture is written out here, and held against that library in the
tests. `soundloom.models.weights.ast_original` translates the authors' own file.

Windows of other lengths take the middle of the learned positions, longer ones stretch them, as the authors do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders.base import Encoder, register_encoder
from soundloom.encoders.layer_collection import check_shape, collect_layers
from soundloom.errors import InvalidArgumentError

__all__ = ["AST", "ASTSettings"]

_SPECIAL = 2  # the [CLS] and the distillation token come before the patches
_EPSILON = 1e-12  # of every norm, as in the published configuration


@dataclass(frozen=True, kw_only=True)
class ASTSettings:
    """The size of an AST; the defaults are the published AudioSet model's.

    Attributes:
        bins: frequency bins of the representation.
        frames: frames that the learned positions were made for.
        patch: side of a patch, in bins and frames.
        hop: from one patch to the next, in bins and frames.
        width: size of a token.
        hidden: units between the two linear maps of a block.
        depth: number of blocks.
        heads: attention heads; they divide the width.
        tags: outputs of the classifier.
        layer_token: what a layer is: "cls", the [CLS] token (the text of Niizumi 2022), or "mean" of both special
            tokens (its code).
    """

    bins: int = 128
    frames: int = 1024
    patch: int = 16
    hop: int = 10
    width: int = 768
    hidden: int = 3072
    depth: int = 12
    heads: int = 12
    tags: int = 527
    layer_token: Literal["cls", "mean"] = field(default="cls", repr=False)

    def __post_init__(self) -> None:
        if self.layer_token not in ("cls", "mean"):
            raise InvalidArgumentError(f"layer_token is 'cls' or 'mean', got {self.layer_token!r}")
        if self.width % self.heads:
            raise InvalidArgumentError(f"heads must divide the width, got {self.heads} heads and width {self.width}")

    def patches(self, size: int) -> int:
        """How many patches fit along an axis of so many bins or frames."""
        return (size - self.patch) // self.hop + 1


@register_encoder("AST", settings=ASTSettings, presets={"ast": lambda: AST()})
class AST(Encoder):
    """A normalised filter bank in, the [CLS] token after each block out.

    Attributes:
        audio_spectrogram_transformer: embeddings, blocks and final norm.
        classifier: tags from the mean of the two special tokens.
    """

    stride = None

    def __init__(self, settings: ASTSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ASTSettings()
        self.available = tuple(range(1, self.settings.depth + 1))
        width = self.settings.width
        self.audio_spectrogram_transformer = _Trunk(self.settings)
        self.classifier = nn.ModuleDict(
            {"layernorm": nn.LayerNorm(width, eps=_EPSILON), "dense": nn.Linear(width, self.settings.tags)}
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every weight and token from N(0, 0.02), as vision transformers do; biases zero."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "layernorm" not in name:
                nn.init.normal_(parameter, std=0.02)

    def extra_repr(self) -> str:
        """The settings: what, besides the weights, decides the layers."""
        # The layer's token only where it is not the first: fingerprints stay what they were before there was a choice.
        chosen = "" if self.settings.layer_token == "cls" else f", layer_token={self.settings.layer_token}"
        return f"{self.settings!r}{chosen}"

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The [CLS] token, or the mean of both, after each wanted block and the final norm: [B, D, 1, 1].

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``, or the representation is not one channel of
                the settings' bins and at least one patch long.
        """
        self.check_wanted(wanted)
        tokens = collect_layers(self._walk(representation, max(wanted)), wanted)
        if self.settings.layer_token == "mean":
            tokens = [special.mean(dim=1, keepdim=True) for special in tokens]
        return [special[:, 0, :, None, None] for special in tokens]

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """What the published classifier sees, the mean of the two special tokens: [B, D, 1]."""
        last = self.settings.depth
        (special,) = collect_layers(self._walk(representation, last), [last])
        return special.mean(dim=1)[:, :, None]

    def tags(self, representation: Float[Tensor, "batch channel frequency time"]) -> Float[Tensor, "batch tags"]:
        """The probability of each tag in each window."""
        embedding = self.baseline(representation)[:, :, 0]
        logits: Tensor = self.classifier["dense"](self.classifier["layernorm"](embedding))
        return logits.sigmoid()

    def _walk(self, representation: Tensor, last: int) -> Iterator[tuple[int, Tensor]]:
        """The two special tokens after every block and the final norm: [B, 2, D]."""
        check_shape(self, representation, channels=1, bins=self.settings.bins, min_frames=self.settings.patch)
        trunk = self.audio_spectrogram_transformer
        tokens = trunk.embeddings(representation)
        for number, block in enumerate(trunk.encoder.layer, start=1):
            tokens = block(tokens, _SPECIAL if number == last else tokens.shape[1])
            yield number, trunk.layernorm(tokens[:, :_SPECIAL])


class _Trunk(nn.Module):
    def __init__(self, settings: ASTSettings) -> None:
        super().__init__()
        self.embeddings = _Embeddings(settings)
        self.encoder = _Blocks(settings)
        self.layernorm = nn.LayerNorm(settings.width, eps=_EPSILON)


class _Blocks(nn.Module):
    def __init__(self, settings: ASTSettings) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Block(settings) for _ in range(settings.depth))


class _Embeddings(nn.Module):
    """Patches with their positions, after the two special tokens."""

    def __init__(self, settings: ASTSettings) -> None:
        super().__init__()
        self.grid = settings.patches(settings.bins), settings.patches(settings.frames)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, settings.width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, settings.width))
        count = _SPECIAL + self.grid[0] * self.grid[1]
        self.position_embeddings = nn.Parameter(torch.zeros(1, count, settings.width))
        projection = nn.Conv2d(1, settings.width, settings.patch, stride=settings.hop)
        self.patch_embeddings = nn.ModuleDict({"projection": projection})

    def forward(self, representation: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](representation)  # [B, D, F', T']
        positions = self.position_embeddings[:, _SPECIAL:].mT.reshape(1, -1, *self.grid)
        positions = _fit(positions, patches.shape[3])
        special = torch.cat([self.cls_token, self.distillation_token], dim=1)
        special = (special + self.position_embeddings[:, :_SPECIAL]).expand(patches.shape[0], -1, -1)
        return torch.cat([special, (patches + positions).flatten(2).transpose(1, 2)], dim=1)


def _fit(positions: Tensor, length: int) -> Tensor:
    """Positions [1, D, F', T'] for another T': the middle where there are too many, stretched where too few."""
    available = positions.shape[3]
    if length <= available:
        start = available // 2 - length // 2
        return positions[..., start : start + length]
    return functional.interpolate(positions, size=(positions.shape[2], length), mode="bilinear")


class _Block(nn.Module):
    """Pre-norm self-attention and multilayer perceptron, each beside a residual connection."""

    def __init__(self, settings: ASTSettings) -> None:
        super().__init__()
        width, hidden = settings.width, settings.hidden
        self.layernorm_before = nn.LayerNorm(width, eps=_EPSILON)
        self.attention = _Attention(width, settings.heads)
        self.layernorm_after = nn.LayerNorm(width, eps=_EPSILON)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, hidden)})
        self.output = nn.ModuleDict({"dense": nn.Linear(hidden, width)})

    def forward(self, tokens: Tensor, kept: int) -> Tensor:
        """The first ``kept`` tokens after this block: [B, N, D] -> [B, kept, D]."""
        tokens = tokens[:, :kept] + self.attention(self.layernorm_before(tokens), kept)
        hidden: Tensor = self.intermediate["dense"](self.layernorm_after(tokens))
        change: Tensor = self.output["dense"](functional.gelu(hidden))
        return tokens + change


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, tokens: Tensor, kept: int) -> Tensor:
        inputs = {"query": tokens[:, :kept], "key": tokens, "value": tokens}
        # [B, N, D] -> [B, heads, N, D / heads]
        query, key, value = (
            self.attention[name](x).unflatten(2, (self.heads, -1)).transpose(1, 2) for name, x in inputs.items()
        )
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        out: Tensor = self.output["dense"](mixed)
        return out
