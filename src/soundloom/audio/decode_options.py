"""Options of decoding: which channel and track of a file, at which speed, and whether a cut file is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import isfinite
from typing import Any, Self

from soundloom.errors import OptionError

__all__ = ["CHANNEL_WORDS", "DecodeOptions"]

CHANNEL_WORDS = ("mix", "left", "right", "loudest")
"""What `DecodeOptions.channels` may be, besides the number of a channel."""

SLOWEST, FASTEST = 0.001, 1000.0
LARGEST_DENOMINATOR = 1000


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How files become waveforms, beyond the sample rate.

    Attributes:
        channels: ``mix`` (the mean of all), ``left``, ``right``, ``loudest`` (the channel with the most energy in the
            whole file), or a channel's number from 1, as text. A file of one channel has it on both sides.
        track: the number of the audio track, from 1; None: the first that is not silent.
        accept_truncated: whether a file that is cut short is taken as far as it goes, with a notice, or refused.
        speed: the file is taken as if it were played at this speed: 0.1 makes it ten times as long and moves 40 kHz
            to 4 kHz. Times remain those of the file.

    Raises:
        OptionError: a value that is not allowed.
    """

    channels: str = "mix"
    track: int | None = None
    accept_truncated: bool = False
    speed: float = 1.0

    def __post_init__(self) -> None:
        word = self.channels
        if not isinstance(word, str) or not (word in CHANNEL_WORDS or (word.isdecimal() and int(word) >= 1)):
            raise OptionError(f"channels is {word!r}: choose {', '.join(CHANNEL_WORDS)}, or a channel's number from 1")
        if self.track is not None and (type(self.track) is not int or self.track < 1):
            raise OptionError(f"track is {self.track!r}: the number of an audio track, from 1, or None")
        if type(self.accept_truncated) is not bool:
            raise OptionError(f"accept_truncated is {self.accept_truncated!r}: True or False")
        if type(self.speed) not in (int, float) or not (isfinite(self.speed) and SLOWEST <= self.speed <= FASTEST):
            raise OptionError(
                f"speed is {self.speed!r}: a number from {SLOWEST} to {FASTEST:g}; 0.1 plays ten times as slow"
            )

    @property
    def speed_ratio(self) -> Fraction:
        """The speed as a ratio of small whole numbers, so that positions are counted exactly."""
        return Fraction(self.speed).limit_denominator(LARGEST_DENOMINATOR)

    def channel(self, count: int) -> int | None:
        """The place of the channel that is taken of a file with ``count`` channels; None: the mean of all.

        ``loudest`` gives None: which one it is, decoding must find out.

        Raises:
            OptionError: the file has no such channel.
        """
        if count == 1 or self.channels in ("mix", "loudest"):
            return None
        place = {"left": 0, "right": 1}.get(self.channels)
        place = int(self.channels) - 1 if place is None else place
        if place >= count:
            raise OptionError(
                f"there is no channel {place + 1} in it, only {count}: choose another with DecodeOptions(channels=...)"
            )
        return place

    def to_data(self) -> dict[str, Any]:
        """The options as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Options from what `to_data` gave.

        Raises:
            OptionError: an unknown option, or a value that is not allowed.
        """
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            raise OptionError(
                f"unknown decoding options {', '.join(unknown)}: there are {', '.join(cls.__dataclass_fields__)}"
            )
        return cls(**data)
