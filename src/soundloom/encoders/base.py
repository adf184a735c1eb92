"""What every encoder is: a module that turns a representation into numbered layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from soundloom.errors import InvalidArgumentError

__all__ = ["Encoder"]


class Encoder(nn.Module, ABC):
    """A representation in, layers out.

    Attributes:
        available: the layer numbers that can be asked for, in computing order. The numbers are the
            paper's (Niizumi 2022, tables I and II) where a paper numbers them.
        stride: frames of the representation to one fused frame, so that T_o = T // stride in Niizumi
            2022, equation 1; None when the encoder gives one vector a window, without a time axis.
    """

    available: tuple[int, ...]
    stride: int | None

    @abstractmethod
    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted layers, in the order asked for.

        Nothing past the last wanted layer is computed. A layer without a time axis has time 1.

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``.
        """

    def baseline(
        self,
        representation: Float[Tensor, "batch channel frequency time"],  # noqa: ARG002 (for those that have one)
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The embedding that applications of the published model use, unfused; frames of it over time.

        Raises:
            InvalidArgumentError: this architecture has no customary embedding besides its layers.
        """
        raise InvalidArgumentError(
            f"{type(self).__name__} has no customary embedding: name the layers, of {list(self.available)}"
        )

    def check_wanted(self, wanted: Sequence[int]) -> None:
        """Refuse layers that this encoder does not have."""
        unknown = [layer for layer in wanted if layer not in self.available]
        if unknown or not wanted:
            raise InvalidArgumentError(
                f"{type(self).__name__} has layers {list(self.available)}, asked for {list(wanted)}"
            )
