"""Inputs of embedders: files, arrays and tensors, one or a list of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor

from soundloom import audio
from soundloom.errors import AudioError

__all__ = ["Source", "each_sound", "sound_blocks"]

Source = audio.Sound | Tensor
"""A sound: a file, or a mono waveform: floating point in [-1, 1], or integers, which are scaled by their type."""


def sound_blocks(
    source: Source,
    model_rate: int,
    sample_rate: float | None,
    start: float,
    end: float | None,
    options: audio.DecodeOptions,
    *,
    notices: list[audio.Notice] | None = None,
    av: audio.AvProcess | None = None,
) -> Iterator[Float32[ndarray, " samples"]]:
    """The waveform of a sound at a model's rate, block by block; see `soundloom.audio.stream`.

    Args:
        source: a file or a waveform.
        model_rate: the rate wanted, in hertz.
        sample_rate: the rate of a waveform, in hertz; None: the rate wanted.
        start: where to begin, in seconds of the sound.
        end: where to stop, in seconds of the sound; None: its end.
        options: how files are decoded.
        notices: a list to which is added what is noticed of the sound.
        av: a child process for the codecs that need one.

    Raises:
        AudioError: as for `soundloom.audio.stream`.
    """
    sound = cast(audio.Sound, source)  # It makes an array of a tensor, too.
    return audio.stream(
        sound, model_rate, sound_rate=sample_rate, start=start, end=end, av=av, options=options, notices=notices
    )


def each_sound(sounds: Sequence[Any]) -> Iterator[Any]:
    """The sounds of a list, refusing what is a waveform written as a list of numbers, or a list of lists."""
    for place, sound in enumerate(sounds):
        if isinstance(sound, list | tuple | int | float | complex):
            raise AudioError(
                f"sound {place} of the list",
                f"this is a {type(sound).__name__}, and a file or an array is wanted: make one waveform of numbers by "
                "numpy.array(...)",
            )
        yield sound
