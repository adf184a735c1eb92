"""Waveforms in memory as sounds: arrays of any sample type and rate, decoded by the rules that files are."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.base import BLOCK, ChannelMixer, check_level
from soundloom.errors import AudioError

__all__ = ["NAME", "ArrayDecoder"]

NAME = "waveform"
"""What an array is called in errors, where a file has its path."""

# What integer samples are centred on and divided by, as libsndfile does. Integers of 64 bits are no samples: they are
# what Python and numpy make of integers of any scale.
INTEGER_SCALES: dict[str, tuple[int, int]] = {
    "int8": (0, 2**7),
    "uint8": (2**7, 2**7),
    "int16": (0, 2**15),
    "uint16": (2**15, 2**15),
    "int32": (0, 2**31),
    "uint32": (2**31, 2**31),
}


class ArrayDecoder:
    """A mono array; see :class:`soundloom.audio.decoders.base.Decoder`.

    Args:
        waveform: ``[samples]``, of floating point or of integers; what numpy makes an array of.
        rate: its sample rate in hertz; None: ``assumed``, which only floating point is taken to have.
        assumed: the rate that is asked for.

    Raises:
        AudioError: not one-dimensional, empty, of a type that is no sample, or of integers without their rate.
    """

    name: Literal["array"] = "array"
    channels = 1

    def __init__(self, waveform: Any, rate: float | None, assumed: int) -> None:
        self._samples = _one_channel(_as_array(waveform))
        kind = self._samples.dtype
        if kind.kind != "f" and str(kind) not in INTEGER_SCALES:
            raise AudioError(
                NAME,
                f"its samples are {kind}: give floating point in [-1, 1], or integers of 8, 16 or 32 bits, "
                "which are scaled by their type",
            )
        if rate is None and kind.kind != "f":
            raise AudioError(NAME, f"its samples are {kind}, so it was not resampled yet: give its sample_rate as well")
        self.sample_rate = assumed if rate is None else _checked_rate(rate)
        self.frames: int | None = len(self._samples)
        self.seconds: float | None = self.frames / self.sample_rate
        self.codec = f"array {kind}"
        self.mixer = ChannelMixer(NAME, 1, DecodeOptions())

    def blocks(self, first: int, last: int | None) -> Iterator[Float32[np.ndarray, " frames"]]:
        """Blocks of native samples; see :meth:`soundloom.audio.decoders.base.Decoder.blocks`."""
        samples = self._samples[:last]
        for at in range(first, len(samples), BLOCK):
            block = _scaled(samples[at : at + BLOCK])
            check_level(block, at, self.sample_rate, NAME)
            yield block

    def close(self) -> None:
        """Nothing is open."""


def _checked_rate(rate: float) -> int:
    """A sample rate as a whole number of hertz.

    Raises:
        AudioError: it is none.
    """
    whole = isinstance(rate, Integral) or (isinstance(rate, Real) and float(rate).is_integer())
    if not whole or isinstance(rate, bool) or not 1 <= rate < 2**31:
        raise AudioError(NAME, f"sample_rate is {rate!r}: give a whole number of hertz, 44100 for instance")
    return int(rate)


def _as_array(waveform: Any) -> NDArray[Any]:
    """What numpy makes of a waveform.

    Raises:
        AudioError: it makes no array of numbers; says what came.
    """
    # A tensor of torch, which this module need not load for it.
    tensor = hasattr(waveform, "detach") and hasattr(waveform, "cpu")
    try:
        samples = np.asarray(waveform.detach().cpu() if tensor else waveform)
    except (TypeError, ValueError, RuntimeError) as error:
        raise AudioError(NAME, f"numpy makes no array of this {type(waveform).__name__} ({error})") from None
    if samples.dtype.kind in "OSTUV":
        of = f" of {type(samples.item(0)).__name__}" if samples.ndim and samples.size else ""
        endings = (
            "; several are a list of these",
            ": only one is taken here",
            ", or one column of files, table['path']",
        )
        ending = endings[min(samples.ndim, 2)]
        raise AudioError(
            NAME,
            f"this is a {type(waveform).__name__}{of}, and a sound is a file's name or an array of samples{ending}",
        )
    return samples


def _one_channel(samples: NDArray[Any]) -> NDArray[Any]:
    shape = list(samples.shape)
    if samples.ndim == 2 and samples.size:
        axis = int(shape[1] < shape[0])
        mean = f".mean(axis={axis})" + ("" if samples.dtype.kind == "f" else f".astype('{samples.dtype}')")
        raise AudioError(
            NAME, f"its shape is {shape}, and one channel [samples] is wanted: mix the channels with waveform{mean}"
        )
    if samples.ndim != 1 or not samples.size:
        raise AudioError(NAME, f"its shape is {shape}: a sound is one mono waveform [samples], not empty")
    return samples


def _scaled(samples: NDArray[Any]) -> Float32[np.ndarray, " frames"]:
    """Samples as float32 in [-1, 1], an array of its own."""
    if samples.dtype.kind == "f":
        # What does not fit into single precision becomes infinite, and is refused as that.
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    centre, scale = INTEGER_SCALES[str(samples.dtype)]
    if samples.dtype.itemsize <= 2:
        return (samples.astype(np.float32) - np.float32(centre)) / np.float32(scale)
    return ((samples.astype(np.float64) - centre) / scale).astype(np.float32)
