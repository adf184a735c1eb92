"""aiSFX (Ma and Lerch, ISMIR 2022): a VGG-like network trained on the categories of sound effect libraries.

Four blocks of two 3 x 3 convolutions over a log-mel of 96 bands, the first three of which halve time and frequency by
their maximum. Layers 1 to 4 are the blocks' outputs; the customary embedding is block 4 averaged over frequency, then
its maximum over time: 512 numbers a patch of 100 frames. Keys are the published ones, without ``embedding_net.``.
"""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders.base import register_encoder
from soundloom.encoders.layer_collection import ConvolutionalEncoder, check_shape

__all__ = ["AiSFX"]

_BINS = 96
_WIDTHS = (64, 128, 256, 512)


@register_encoder("aiSFX", presets={"aisfx": lambda: AiSFX()})
class AiSFX(ConvolutionalEncoder):
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

    def _check_input(self, representation: Tensor) -> None:
        check_shape(self, representation, channels=1, bins=_BINS, min_frames=self.stride)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The published embedding of a patch: [B, 512, 1]."""
        return self.layers(representation, self.available[-1:])[0].mean(dim=2).amax(dim=2, keepdim=True)

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
        x = functional.relu_(self.bn1(self.conv1(x)))
        x = functional.relu_(self.bn2(self.conv2(x)))
        return functional.max_pool2d(x, self.pool) if self.pool > 1 else x
