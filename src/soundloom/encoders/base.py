"""What every encoder is: a module that turns a representation into numbered layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Encoder"]


class Encoder(nn.Module, ABC):
    """A representation in, layers out.

    Attributes:
        available: the layer numbers that can be asked for, in computing order. The numbers are the
            paper's (Niizumi 2022, tables I and II) where a paper numbers them.
    """

    available: tuple[int, ...]

    @abstractmethod
    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted layers, in the order asked for.

        Nothing past the last wanted layer is computed. A layer without a time axis has time 1.

        Raises:
            ValueError: a wanted layer is not in ``available``.
        """

    def check_wanted(self, wanted: Sequence[int]) -> None:
        """Refuse layers that this encoder does not have."""
        unknown = [layer for layer in wanted if layer not in self.available]
        if unknown or not wanted:
            raise ValueError(f"{type(self).__name__} has layers {list(self.available)}, asked for {list(wanted)}")
