"""Encoders whose forward pass is written as a generator of layers, and the check of their input.

An architecture writes its forward pass once, as a generator that yields ``(number, layer)`` wherever a layer
is complete. A generator runs only as far as it is asked to, so that nothing past the last wanted layer is
computed, whatever the architecture.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence

from jaxtyping import Float
from torch import Tensor

from soundloom.encoders.base import Encoder
from soundloom.encoders.init import he_normal
from soundloom.errors import InvalidArgumentError

__all__ = ["ConvolutionalEncoder", "WalkedEncoder", "check_shape", "collect_layers"]


class WalkedEncoder(Encoder):
    """An encoder that computes its layers in one forward pass, `_walk`, as far as they are wanted."""

    @abstractmethod
    def _walk(self, representation: Tensor) -> Iterator[tuple[int, Tensor]]:
        """The numbers of `available`, each with its layer [B, C, F, T], as they are computed."""

    def _check_input(self, representation: Tensor) -> None:
        """Refuse a representation that the encoder cannot take; one channel of any size unless overridden."""
        check_shape(self, representation, channels=1)

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """The wanted layers, in the order asked for; see `Encoder.layers`.

        Raises:
            InvalidArgumentError: also for a representation of a shape that the encoder cannot take.
        """
        self.check_wanted(wanted)
        self._check_input(representation)
        return collect_layers(self._walk(representation), wanted)


class ConvolutionalEncoder(WalkedEncoder):
    """A walked encoder of convolutions, whose last layer is its customary embedding unless overridden."""

    def reset_parameters(self) -> None:
        """Draw He's normal weights, biases zero."""
        he_normal(self)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The last layer, a vector without a time axis: [B, D, 1]."""
        return self.layers(representation, self.available[-1:])[0].flatten(2)


def collect_layers(layers: Iterable[tuple[int, Tensor]], wanted: Sequence[int]) -> list[Tensor]:
    """The wanted layers of a forward pass, in the order asked for; it stops after the last of them."""
    found: dict[int, Tensor] = {}
    missing = set(wanted)
    for number, layer in layers:
        if number in missing:
            found[number] = layer
            missing.remove(number)
        if not missing:
            break
    return [found[number] for number in wanted]


def check_shape(
    encoder: Encoder,
    representation: Tensor,
    *,
    channels: int,
    bins: int | None = None,
    frames: int | None = None,
    min_frames: int = 1,
) -> None:
    """Refuse a representation that the encoder cannot take.

    Args:
        encoder: for whom; its name goes into the message.
        representation: [batch, channel, frequency, time].
        channels: the size that the channel axis must have.
        bins: the size that the frequency axis must have; None for any.
        frames: the size that the time axis must have; None for any from ``min_frames`` on.
        min_frames: the shortest time axis that gives a frame of output.

    Raises:
        InvalidArgumentError: an axis has another size.
    """
    _, got_channels, got_bins, got_frames = representation.shape
    fits_time = got_frames == frames if frames is not None else got_frames >= min_frames
    if got_channels == channels and bins in (None, got_bins) and fits_time:
        return
    time = f"{frames}" if frames is not None else f"time >= {min_frames}"
    allowed = f"[batch, {channels}, {'frequency' if bins is None else bins}, {time}]"
    raise InvalidArgumentError(
        f"{type(encoder).__name__} takes a representation {allowed}, got {list(representation.shape)}: "
        "check the front-end's bins and the length of the windows (pad or cut them)"
    )
