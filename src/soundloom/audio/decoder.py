"""What every decoder is: an open file that gives mono blocks at its own sample rate.

A decoder never resamples and never clips; :mod:`soundloom.audio.reader` does both, in the same way for all
decoders. Blocks always hold ``BLOCK`` frames (the last one fewer), whatever the packets of the file, so that a
file gives the same bits however it is consumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float32, Float64

from soundloom.audio.options import DecodeOptions
from soundloom.errors import AudioError, OptionError

__all__ = ["BLOCK", "ChannelMixer", "Decoder", "check_finite"]

# 1.5 s at 44.1 kHz: long enough for the cost of a call to vanish, short enough to stay in the cache of a core.
BLOCK = 65536

# 400 dB above full scale. No sound is there, and the filters that follow cannot overflow below it.
LOUDEST = 1e20


class Decoder(Protocol):
    """An open sound file.

    Attributes:
        sample_rate: native rate in hertz.
        channels: how many are mixed into one.
        frames: exact length in samples a channel, or None where the file does not say.
        seconds: the length that the file claims, or None where it claims none.
        mixer: what makes one channel of several, and measures them.
    """

    sample_rate: int
    channels: int
    frames: int | None
    seconds: float | None
    mixer: ChannelMixer

    @property
    def codec(self) -> str:
        """Container and codec, for people."""

    @property
    def name(self) -> Literal["soundfile", "pyav", "array"]:
        """The library that decodes."""

    def blocks(self, first: int, last: int | None) -> Iterator[Float32[np.ndarray, " frames"]]:
        """The native frames from ``first`` up to, not including, ``last`` (None: the end); to be called once."""

    def close(self) -> None:
        """Let go of the file."""


class ChannelMixer:
    """Makes one channel of several: their mean, or one of them; and measures their energy.

    Args:
        path: the file, for the message.
        channels: how many it has.
        options: which of them is taken; for ``loudest`` the mean is, and each channel is measured.

    Attributes:
        energies: the sum of squares of all frames mixed so far: one number for all channels together, or, for
            ``loudest``, one for each.

    Raises:
        AudioError: the file has no such channel.
    """

    def __init__(self, path: str, channels: int, options: DecodeOptions) -> None:
        try:
            self._channel = options.channel(channels)
        except OptionError as error:
            raise AudioError(path, str(error)) from None
        self._each = options.channels == "loudest"
        self.energies: Float64[np.ndarray, " _measured"] = np.zeros(channels if self._each else 1)

    def mix(self, planes: Float32[np.ndarray, "channels frames"], out: Float32[np.ndarray, " frames"]) -> None:
        """Write the mean of all channels, or the one chosen, into ``out``.

        Each channel is scaled before it is added, so that the sum cannot overflow where no channel does. Adding
        whole channels is thirty times as fast as ``mean`` over the short axis.
        """
        # A file may hold infinities, whose sum is invalid: check_finite reports them, numpy need not.
        with np.errstate(invalid="ignore", over="ignore"):
            self._measure(planes)
            if self._channel is not None:
                out[:] = planes[self._channel]
                return
            share = np.float32(1 / len(planes))
            np.multiply(planes[0], share, out=out)
            for plane in planes[1:]:
                out += plane * share

    def _measure(self, planes: Float32[np.ndarray, "channels frames"]) -> None:
        if self._each:
            self.energies += [float(np.einsum("f,f->", plane, plane)) for plane in planes]
        elif len(planes) > 1:
            # In the order of memory: ten times as fast as channel by channel where they are interleaved.
            every = planes.ravel(order="K")
            self.energies += float(np.einsum("f,f->", every, every))


def check_finite(block: Float32[np.ndarray, " frames"], position: int, sample_rate: int, path: str) -> None:
    """Refuse a mono block with NaN, infinity or senseless numbers in it.

    Args:
        block: native samples.
        position: where the block begins in the file, in native samples.
        sample_rate: native rate in hertz.
        path: the file, for the message.

    Raises:
        AudioError: names the second of the first such sample.
    """
    # Comparisons with NaN are false: two passes find all three kinds.
    if block.min() > -LOUDEST and block.max() < LOUDEST:
        return
    wrong = int(np.argmin(np.abs(block) < LOUDEST))
    raise AudioError(
        path,
        f"the sample at {(position + wrong) / sample_rate:.3f} s is {block[wrong]}, not a finite level: "
        "write the file again from its source, or without that stretch",
    )
