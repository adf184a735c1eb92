"""Reading sounds: what a file is, its waveform as blocks, its waveform whole; arrays by the same rules.

A waveform here is mono (the mean of the channels, or one of them), float32, at the rate asked for. Full scale is 1.
It is not clipped: lossy codecs, resampling and files in floating point overshoot, and that is part of the sound.

libsndfile decodes what it can, FFmpeg (PyAV) the rest. A file that can be decoded only in part is an error, not
a shorter sound: nobody would notice otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import inf, log10
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.array_decoder import NAME, ArrayDecoder
from soundloom.audio.decoders.av_process import AvProcess
from soundloom.audio.decoders.base import Decoder
from soundloom.audio.decoders.selection import open_decoder
from soundloom.audio.decoders.sndfile_decoder import SndfileDecoder
from soundloom.audio.notices import Notice
from soundloom.audio.resample import Energy, resampled
from soundloom.errors import AudioError, InvalidArgumentError
from soundloom.file_names import os_path

__all__ = ["DEFAULT_OPTIONS", "AudioInfo", "Sound", "info", "is_file", "read", "read_regions", "stream"]

Sound = str | PathLike[str] | NDArray[Any]
"""A sound: a file, or a mono waveform. What numpy makes an array of, such as a tensor, is taken as well."""

DEFAULT_OPTIONS = DecodeOptions()

# A mix of uncorrelated channels has 1/n of the mean energy of one; a fiftieth of that (17 dB below) is cancellation.
QUIET, LOUD = 1e-3, 4.0
"""Peaks of a file, of 1 at full scale, below and above which its embeddings differ much from those at a usual level."""
CANCELLED = 0.02


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What a sound file says of itself.

    Attributes:
        path: the file.
        sample_rate: native rate in hertz.
        channels: how many channels are stored.
        duration: seconds; None where only decoding the whole file would show it.
        exact: whether the duration is the number of samples that are decoded. Otherwise it is a count of packets, or
            what the container says, and may differ by a packet or two.
        codec: container and codec, such as ``"OGG VORBIS"``.
        decoder: the library that reads it.
    """

    path: Path
    sample_rate: int
    channels: int
    duration: float | None
    exact: bool
    codec: str
    decoder: Literal["soundfile", "pyav", "array"]


def info(
    path: str | PathLike[str], av: AvProcess | None = None, *, options: DecodeOptions = DEFAULT_OPTIONS
) -> AudioInfo:
    """Look at a file without decoding it.

    Args:
        path: a sound file.
        av: the process in which FFmpeg runs; None: FFmpeg runs in this one.
        options: which track is looked at.

    Raises:
        AudioError: the file cannot be read, or holds no sound.
    """
    with closing(open_decoder(os_path(path), av, options, [])) as decoder:
        return AudioInfo(
            path=Path(path),
            sample_rate=decoder.sample_rate,
            channels=decoder.channels,
            duration=decoder.seconds,
            exact=decoder.frames is not None,
            codec=decoder.codec,
            decoder=decoder.name,
        )


def stream(
    sound: Sound,
    sample_rate: int,
    *,
    sound_rate: float | None = None,
    start: float = 0.0,
    end: float | None = None,
    av: AvProcess | None = None,
    options: DecodeOptions = DEFAULT_OPTIONS,
    notices: list[Notice] | None = None,
    energy: Energy | None = None,
) -> Iterator[Float32[np.ndarray, " samples"]]:
    """The waveform of a sound, or of a region of it, block by block, of a file in bounded memory.

    Seconds become samples by ``round(seconds * sample_rate)``. A region holds what a slice of the whole would.

    Args:
        sound: a file, or a mono waveform, whose integers are scaled by their type.
        sample_rate: the rate wanted, in hertz.
        sound_rate: the rate of a waveform, in hertz; None: it has the rate wanted. A file knows its own.
        start: where to begin, in seconds of the sound.
        end: where to end, in seconds of the sound; None, or past the end of the sound: there.
        av: the process in which FFmpeg runs; None: FFmpeg runs in this one.
        options: how the file is decoded: channels, track, speed.
        notices: gets what is noticed of the sound, most of it at its end; None: nobody asks.
        energy: to which the samples are added as they are decoded, before they are resampled.

    Yields:
        Arrays of the caller's own, of any length but none empty, at least one.

    Raises:
        AudioError: the file cannot be read, is damaged, holds no sound or no finite one, or has no such region; the
            array is no mono waveform, is of integers and its rate is not given, or has values far beyond full scale.
        InvalidArgumentError: the sample rate is not positive.
    """
    if sample_rate < 1:
        raise InvalidArgumentError(f"sample_rate is {sample_rate} Hz: it must be 1 or more, 16000 for instance")
    found: list[Notice] = []
    if is_file(sound):
        name = os_path(sound)
        if sound_rate is not None:
            raise AudioError(name, f"a file knows its own rate, got {sound_rate} too: regions have start= and end=")
        options = _settled(name, av, options)
        opened = open_decoder(name, av, options, found)
    else:
        name, opened = NAME, ArrayDecoder(sound, sound_rate, sample_rate)
    with closing(opened) as decoder:
        ratio = options.speed_ratio
        native, wanted = decoder.sample_rate * ratio.numerator, sample_rate * ratio.denominator
        first, last = _region(decoder, name, native, wanted, start, end)
        before, after = energy or Energy(), Energy()
        for block in resampled(decoder, native, wanted, first, last, before):
            _check_wanted(name, av)
            if len(block):
                after.add(block)
                yield block
        if not after.samples:
            raise AudioError(name, _no_region(start, end, decoder.seconds))
        if notices is not None:
            notices += [*found, *_sound_notices(decoder, sample_rate, before, after, options, start, end)]


def _check_wanted(path: str, av: AvProcess | None) -> None:
    """Refuse to go on with a file that nobody wants any more."""
    if av is not None and av.stopped:
        raise AudioError(path, "was not read to its end: the work on it was stopped")


def _settled(path: str, av: AvProcess | None, options: DecodeOptions) -> DecodeOptions:
    """The options with the number of the loudest channel, found by decoding the file once, where that is wanted."""
    if options.channels != "loudest":
        return options
    with closing(open_decoder(path, av, options, [])) as decoder:
        if decoder.channels > 1:
            for _ in decoder.blocks(0, None):
                pass
        loudest = int(np.argmax(decoder.mixer.energies))
    return replace(options, channels=str(loudest + 1))


def _sound_notices(
    decoder: Decoder,
    sample_rate: int,
    before: Energy,
    after: Energy,
    options: DecodeOptions,
    start: float,
    end: float | None,
) -> Iterator[Notice]:
    """What is to be said of a sound that was decoded: silence, cancelled channels, an unusual level, ultrasound.

    Args:
        decoder: the file, decoded.
        sample_rate: the rate asked for, in hertz.
        before: the energy of the native samples.
        after: the energy of the samples at ``sample_rate``.
        options: how the file was decoded.
        start: where the region that was decoded begins.
        end: where it ends; None: with the sound.
    """
    count = decoder.channels
    every = float(decoder.mixer.energies.sum()) if count > 1 else before.total
    if before.total == 0 and (every == 0 or options.channels != "mix"):
        where = (" of the region" if start or end is not None else "") + (" in the channel taken" if every else "")
        yield Notice("silent", f"digital silence: every sample{where} is 0")
    elif count > 1 and options.channels == "mix" and before.total < CANCELLED / count * (every / count):
        yield Notice(
            "cancelled",
            f"the {count} channels cancel each other when they are mixed: take one of them, "
            "left, right, a number or loudest, with DecodeOptions(channels=...)",
        )
    elif 2 * after.variance < before.variance:
        highest = sample_rate / 2 / options.speed / 1000
        yield Notice(
            "ultrasonic",
            f"{1 - after.variance / before.variance:.0%} of the energy lies above {highest:g} kHz, the highest "
            f"frequency that the model takes: DecodeOptions(speed={_slower(decoder, sample_rate):g}) slows it down",
        )
    elif before.peak < QUIET:
        yield Notice(
            "quiet",
            f"very quiet: a peak of {20 * log10(before.peak):.0f} dBFS; embeddings depend on the level, so amplify "
            "it to compare it with others",
        )
    if before.peak > LOUD:
        yield Notice(
            "loud",
            f"far above full scale: a peak of {before.peak:.3g}, where 1 is full scale; embeddings depend on the "
            "level, so scale it to compare it with others",
        )


def _slower(decoder: Decoder, sample_rate: int) -> float:
    """A speed at which all of a file's frequencies can be represented: a half, a quarter, a fifth, a tenth ..."""
    needed = decoder.sample_rate / sample_rate
    return next((1 / times for times in (2, 4, 5, 8, 10, 16, 20, 32, 40, 50, 64, 100) if times >= needed), 0.001)


def is_file(sound: object) -> TypeGuard[str | PathLike[str]]:
    """Whether a sound is a file's name, and not a waveform."""
    return isinstance(sound, str | PathLike)


def read(
    sound: Sound,
    sample_rate: int,
    *,
    sound_rate: float | None = None,
    start: float = 0.0,
    end: float | None = None,
    av: AvProcess | None = None,
    options: DecodeOptions = DEFAULT_OPTIONS,
    notices: list[Notice] | None = None,
) -> Float32[np.ndarray, " samples"]:
    """The waveform of a sound, or of a region of it, in one array: the blocks of :func:`stream`, joined.

    Arguments and errors are those of :func:`stream`.
    """
    blocks = list(
        stream(sound, sample_rate, sound_rate=sound_rate, start=start, end=end, av=av, options=options, notices=notices)
    )
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def read_regions(
    path: str | PathLike[str],
    sample_rate: int,
    regions: Sequence[tuple[float, float]],
    *,
    options: DecodeOptions = DEFAULT_OPTIONS,
) -> list[Float32[np.ndarray, " samples"]]:
    """The waveforms of several regions of a file, each as :func:`read` gives it.

    What libsndfile decodes is opened once: to open an hour of MP3, which has no index, takes a third of a second.

    Args:
        path: a sound file.
        sample_rate: the rate wanted, in hertz.
        regions: start and end of each, in seconds.
        options: how the file is decoded.

    Raises:
        AudioError: as for :func:`read`.
    """
    name = os_path(path)
    options = _settled(name, None, options)
    with closing(open_decoder(name, None, options, [])) as decoder:
        if not isinstance(decoder, SndfileDecoder):
            return [read(path, sample_rate, start=start, end=end, options=options) for start, end in regions]
        ratio = options.speed_ratio
        native, wanted = decoder.sample_rate * ratio.numerator, sample_rate * ratio.denominator
        found = []
        for start, end in regions:
            blocks = list(resampled(decoder, native, wanted, *_region(decoder, name, native, wanted, start, end)))
            if not blocks:
                raise AudioError(name, _no_region(start, end, decoder.seconds))
            found.append(np.concatenate(blocks))
        return found


def _region(
    decoder: Decoder, path: str, native: int, wanted: int, start: float, end: float | None
) -> tuple[int, int | None]:
    """A region in samples at the rate wanted, checked as far as the length of the file is known.

    Args:
        decoder: the open file.
        path: its name.
        native: the rate that its samples are taken to have.
        wanted: the rate that they are brought to, on the same scale.
        start: seconds of the file.
        end: seconds of the file.
    """
    if not 0 <= start < inf or not (end is None or start < end < inf):
        raise AudioError(path, _no_region(start, end, decoder.seconds))
    # Samples that one second of the file becomes; the sample rate itself unless the speed is changed.
    rate = wanted * decoder.sample_rate / native
    first = round(start * rate)
    last = None if end is None else round(end * rate)
    beyond = decoder.frames is not None and first > 0 and first * native >= decoder.frames * wanted
    if beyond or first == last:
        raise AudioError(path, _no_region(start, end, decoder.seconds))
    return first, last


def _no_region(start: float, end: float | None, seconds: float | None) -> str:
    """The reason given for a region that does not exist."""
    length = "of unknown length" if seconds is None else f"{seconds:.3f} s long"
    until = "the end" if end is None else f"{end} s"
    return (
        f"there is no region from {start} s to {until}, the sound is {length}: "
        "start must lie in the sound and end must come at least a sample after start"
    )
