"""Decoding with libsndfile: wav, flac, ogg vorbis and opus, mp3, aiff, caf, au and a dozen more.

The first choice wherever it can read a file: it is the fastest, seeks to the sample, and leaves other threads
running (soundfile releases the interpreter's lock while it decodes).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

import numpy as np
import soundfile
from jaxtyping import Float32

from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.base import BLOCK, ChannelMixer, check_header, check_level
from soundloom.audio.file_view import FileView, ViewFile
from soundloom.audio.notices import Notice
from soundloom.errors import AudioError
from soundloom.remote import is_address

__all__ = ["SndfileDecoder"]

# libsndfile answers 2**63 - 1 where a file does not state its length (a flac written to a pipe).
UNKNOWN_LENGTH = 2**62

# After a seek some decoders need a run-up until they sound as if they had played from the start. A frame of mp3
# borrows bits from up to 511 bytes before it, half a second at 8 kbit/s; Opus predicts from its own past.
RUN_UP = {"MPEG": 32 * 1152, "OPUS": 48000}
# libsndfile 1.2.2 misses the place in the last page of an Ogg Vorbis stream, whose time stamp is that of the end of
# the sound and not of the page. A page holds at most 255 packets of 4096 samples: begin before it.
LAST_PAGE = 255 * 4096
# Samples in the longest packet of codecs that have some.
LARGEST_PACKET = {"MPEG": 1152, "OPUS": 5760, "VORBIS": 4096}
# Numbers decoded at once: BLOCK frames of up to 32 channels.
LARGEST_READ = 32 * BLOCK


class SndfileDecoder:
    """A file opened by libsndfile; see :class:`soundloom.audio.decoders.base.Decoder`.

    Args:
        path: the file.
        options: how it is decoded.
        notices: where what is noticed goes.
        view: the stretches of it that are read; None: all.

    Raises:
        soundfile.SoundFileError: libsndfile cannot read the file; the caller tries another decoder.
    """

    name: Literal["soundfile"] = "soundfile"

    def __init__(self, path: str, options: DecodeOptions, notices: list[Notice], view: FileView | None = None) -> None:
        if view is not None or is_address(path):
            self._file = soundfile.SoundFile(ViewFile(path, view))
        else:
            # Bytes, because a POSIX file name need not be text.
            self._file = soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path))
        self._path, self._options, self._notices = path, options, notices
        self._started = False
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int | None = self._file.frames
        self.seconds: float | None = self._file.frames / self.sample_rate
        if self._file.frames >= UNKNOWN_LENGTH:
            self._file.close()
            raise soundfile.SoundFileRuntimeError("the length is not known, without which libsndfile finds no end")
        try:
            if options.track is not None and options.track > 1:
                raise AudioError(path, f"there is no audio track {options.track} in it, only one")
            check_header(path, self.sample_rate, self.channels, options)
            self.mixer = ChannelMixer(path, self.channels, options)
        except AudioError:
            self._file.close()
            raise

    @property
    def codec(self) -> str:
        """Container and codec; looked up when asked for, as that takes as long as a small read."""
        return f"{self._file.format} {self._file.subtype}"

    def blocks(self, first: int, last: int | None) -> Iterator[Float32[np.ndarray, " frames"]]:
        """Mono blocks of native samples; see :meth:`soundloom.audio.decoders.base.Decoder.blocks`.

        It may be called again, for another region.
        """
        length = self._file.frames
        end = length if last is None else min(last, length)
        position = self._seek(first)
        skipped = first - position
        step = min(BLOCK, LARGEST_READ // self.channels)
        interleaved = np.empty((min(step, end - position), self.channels), np.float32) if self.channels > 1 else None
        while position < end:
            wanted = min(step, end - position)
            mono = np.empty(wanted, np.float32)
            buffer = mono if interleaved is None else interleaved[:wanted]
            got = self._decode(buffer, position)
            if got < wanted:
                self._end_early(position + got)
                mono, end = mono[:got], position + got
            if interleaved is not None:
                self.mixer.mix(interleaved[:got].T, mono)
            check_level(mono, position, self.sample_rate, self._path)
            if skipped < got:
                yield mono[skipped:]
            skipped = max(0, skipped - got)
            position += got

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _seek(self, first: int) -> int:
        """Go to a native frame, or to one before it, and say which."""
        codec = self._file.subtype
        place = first - RUN_UP.get(codec.partition("_")[0], 0)
        started, self._started = self._started, True
        if codec == "VORBIS":
            # The packet after a seek is joined to what was decoded before it, if something was.
            place = min(place - started * 2 * LARGEST_PACKET[codec], self._file.frames - LAST_PAGE)
        try:
            # A file that was just opened stands at its beginning.
            return int(self._file.seek(max(0, place))) if started or place > 0 else 0
        except soundfile.SoundFileError as error:
            raise AudioError(
                self._path,
                f"cannot go to {first / self.sample_rate:.2f} s ({_said(error)}): read the whole file instead",
            ) from error

    def _decode(self, buffer: np.ndarray, position: int) -> int:
        """Fill the buffer; the number of frames that were left to fill it with."""
        try:
            return int(self._file.buffer_read_into(buffer, "float32"))
        except soundfile.SoundFileError as error:
            said = f"decoding fails after about {position / self.sample_rate:.2f} s ({_said(error)})"
            self._stop(position, said, error)
            return 0

    def _end_early(self, position: int) -> None:
        """Judge an end before the one that was counted: the last packets are never missed, more is."""
        length = self._file.frames
        packet = LARGEST_PACKET.get(self._file.subtype.partition("_")[0], 1)
        if length - position > 2 * packet:
            seconds, promised = position / self.sample_rate, length / self.sample_rate
            said = f"decoding ends after {seconds:.2f} s of the {promised:.2f} s that the file promises"
            self._stop(position, said, None)

    def _stop(self, position: int, said: str, error: Exception | None) -> None:
        """End the decoding early: with a notice where a cut file is accepted, otherwise with an error."""
        if self._options.accept_truncated and position > 0:
            self._notices.append(Notice("truncated", f"{said}; what comes before is taken"))
            return
        raise AudioError(
            self._path,
            f"{said}: it was cut short, or is damaged there; copy it again from its source, or take what there is with "
            "DecodeOptions(accept_truncated=True)",
        ) from error


def _said(error: soundfile.SoundFileError) -> str:
    """What libsndfile said, on one line."""
    return str(error).strip() or "libsndfile gives no reason"
