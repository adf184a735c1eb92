"""Identity encoder: its one layer is the front-end's representation.

With it a front-end and a pooling make an embedding that needs no training, such as mean and deviation
of log-mel bands over time: the baseline of every comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from soundloom.encoders.base import Encoder, register_encoder

__all__ = ["Identity"]


@register_encoder("Identity", presets={"identity": lambda: Identity()})
class Identity(Encoder):
    """Layer 1 is the representation, ``[batch, channel, frequency, time]``, unchanged."""

    available = (1,)
    stride = 1

    @property
    def local(self) -> Identity:
        """Itself."""
        return self

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The representation, once for every time it is wanted."""
        self.check_wanted(wanted)
        return [representation for _ in wanted]
