"""Base class of decoders: an open file that gives mono blocks at its own sample rate.

A decoder never resamples and never clips; :mod:`soundloom.audio.reader` does both, in the same way for all
decoders. Blocks always hold ``BLOCK`` frames (the last one fewer), whatever the packets of the file, so that a
file gives the same bits however it is consumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float32, Float64

from soundloom.audio.decode_options import DecodeOptions
from soundloom.errors import AudioError, OptionError

__all__ = ["BLOCK", "LARGEST_PEAK", "ChannelMixer", "Decoder", "check_header", "check_level"]

# 1.5 s at 44.1 kHz: long enough for the cost of a call to vanish, short enough to stay in the cache of a core.
BLOCK = 65536

# 36 dB above full scale: recordings in floating point overshoot, but no further. Beyond are unscaled integers.
LARGEST_PEAK = 64.0
REMEDY_FOR_ARRAY = "divide by the largest value of its type (32768 for 16 bits), or give the integers themselves"
REMEDY_FOR_FILE = "its samples were never scaled, or the file is damaged; write it again, or leave it out"
# Below, minutes of silence become gigabytes at any usual rate; above, no recorder goes.
LOWEST_RATE, HIGHEST_RATE = 100, 20_000_000
MOST_CHANNELS = 1024


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


def check_level(
    samples: Float32[np.ndarray, " samples"], position: int = 0, sample_rate: int = 1, path: str = "waveform"
) -> None:
    """Refuse a mono block that is not finite or has a peak above 64, of a file or an array alike.

    Args:
        samples: native samples.
        position: where they begin in the sound, in native samples.
        sample_rate: native rate in hertz.
        path: the file, for the message.

    Raises:
        AudioError: names the second of the first such sample.
    """
    # Comparisons with NaN are false: two passes find all kinds.
    if not len(samples) or (samples.min() >= -LARGEST_PEAK and samples.max() <= LARGEST_PEAK):
        return
    wrong = int(np.argmin(np.abs(samples) <= LARGEST_PEAK))
    value, second = samples[wrong], (position + wrong) / sample_rate
    if np.isfinite(value):
        raise AudioError(
            path,
            f"the sample at {second:.3f} s is {value:g}, and full scale is 1 (at most {LARGEST_PEAK:g} is taken): "
            f"{REMEDY_FOR_ARRAY if path == 'waveform' else REMEDY_FOR_FILE}",
        )
    raise AudioError(
        path,
        f"the sample at {second:.3f} s is {value}, not a finite level: "
        "write the file again from its source, or without that stretch",
    )


def check_header(path: str, sample_rate: int, channels: int, options: DecodeOptions) -> None:
    """Refuse a rate or a number of channels that no sound has: a damaged header, or data that are no sound.

    Raises:
        AudioError: names the rate or the channels, and what may be done.
    """
    played = sample_rate * options.speed
    if not LOWEST_RATE <= played <= HIGHEST_RATE * max(1.0, options.speed):
        raise AudioError(
            path,
            f"its header says {sample_rate} Hz, and sounds have {LOWEST_RATE} to {HIGHEST_RATE} Hz: the header is "
            "damaged; write the file again with its true rate, or play it faster with DecodeOptions(speed=...) if that "
            "is true",
        )
    if channels > MOST_CHANNELS:
        raise AudioError(
            path,
            f"its header says {channels} channels, and at most {MOST_CHANNELS} are read: the header is damaged, or the "
            "file should be split",
        )
