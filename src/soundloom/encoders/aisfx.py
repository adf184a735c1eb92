"""aiSFX (Ma and Lerch, ISMIR 2022): a VGG-like network trained on the categories of sound effect libraries.

Four blocks of two 3 x 3 convolutions over a log-mel of 96 bands, the first three of which halve time and frequency by
their maximum. Layers 1 to 4 are the blocks' outputs; the customary embedding is block 4 averaged over frequency, then
its maximum over time: 512 numbers a patch of 100 frames. Keys are the published ones, without ``embedding_net.``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from soundloom.encoders.base import Encoder, register_encoder
from soundloom.encoders.init import he_normal
from soundloom.encoders.layer_collection import check_shape, collect_layers

__all__ = ["AiSFX"]

_BINS = 96
_WIDTHS = (64, 128, 256, 512)


@register_encoder("aiSFX", presets={"aisfx": lambda: AiSFX()})
class AiSFX(Encoder):
    """Patches of 96 bands in, block outputs out.

    Attributes:
        conv_block1 ... conv_block4: the blocks, each [B, C, T, F] in the published layout.
    """

    available = (1, 2, 3, 4)
    stride = 8

    def __init__(self) -> None:
        super().__init__()
        inputs = 1
        for number, width in enumerate(_WIDTHS, start=1):
            self.add_module(f"conv_block{number}", _Block(inputs, width, pool=2 if number < len(_WIDTHS) else 1))
            inputs = width
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw He's normal weights, biases zero."""
        he_normal(self)

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted block outputs, after pooling.

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``, or the representation is not one channel of
                96 bands and at least 8 frames.
        """
        self.check_wanted(wanted)
        check_shape(self, representation, channels=1, bins=_BINS, min_frames=self.stride)
        return collect_layers(self._walk(representation), wanted)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The published embedding of a patch: [B, 512, 1]."""
        return self.layers(representation, [4])[0].mean(dim=2).amax(dim=2, keepdim=True)

    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        x = representation.transpose(2, 3)  # published layout [B, C, T, F]
        for number in self.available:
            x = self.get_submodule(f"conv_block{number}")(x)
            yield number, x.transpose(2, 3)


class _Block(nn.Module):
    """Twice a 3 x 3 convolution, batch normalisation and ReLU; then the maximum of pool x pool."""

    def __init__(self, inputs: int, outputs: int, *, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.bn1(self.conv1(x)))
        x = F.relu_(self.bn2(self.conv2(x)))
        return F.max_pool2d(x, self.pool) if self.pool > 1 else x
