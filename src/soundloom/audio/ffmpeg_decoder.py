"""Decoding with FFmpeg, through PyAV: m4a, aac, wma, webm and the sound tracks of videos.

Only where libsndfile cannot read a file. PyAV holds the interpreter's lock for much of its work, so that two
threads of it are slower than one, and a crash in a codec takes the process with it: to decode many files use
:class:`soundloom.audio.AvProcess`, which runs this module in a process of its own.

Second 0 is the first sample of the sound track, also where the pictures begin earlier.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Literal

import av
import numpy as np
from jaxtyping import Float32

from soundloom.audio.decoder import BLOCK, ChannelMixer, check_finite
from soundloom.audio.notices import Notice
from soundloom.audio.options import DecodeOptions
from soundloom.errors import AudioError

__all__ = ["AvDecoder"]

# A codec remembers what came before (overlapping windows, band replication): after a seek it needs some packets
# until it sounds as if it had played from the start. 16384 samples are 8 packets of the longest kind of AAC.
WARM_UP = 16384
# Below this, decoding up to the place costs less than a seek is worth.
SEEK_FROM_SECONDS = 20


class AvDecoder:
    """A sound track of a file, opened by FFmpeg; see :class:`soundloom.audio.decoder.Decoder`.

    Args:
        path: the file.
        options: how it is decoded.
        notices: where what is noticed goes.

    Raises:
        AudioError: FFmpeg cannot read the file, or there is no sound in it.
    """

    name: Literal["pyav"] = "pyav"
    frames: int | None = None  # Containers count packets or milliseconds, seldom samples.

    def __init__(self, path: str, options: DecodeOptions, notices: list[Notice]) -> None:
        self._path, self._options, self._notices = path, options, notices
        try:
            # "file:" keeps a name such as "http:x.m4a" from being taken for an address, and the whitelist keeps a
            # playlist from making FFmpeg fetch what it lists. Damaged titles and comments are nobody's concern here.
            self._container = av.open(
                "file:" + os.path.abspath(path),
                container_options={"protocol_whitelist": "file"},
                metadata_errors="ignore",
            )
        except (av.FFmpegError, UnicodeError) as error:
            raise AudioError(
                path,
                f"neither libsndfile nor FFmpeg can read it ({_said(error)}): is it a sound file, and a whole one?",
            ) from error
        try:
            self._open_track()
        except BaseException:
            self._container.close()
            raise

    def _open_track(self) -> None:
        """Choose the track and decode its first frame, which alone tells the true rate (some codecs double it)."""
        tracks = self._container.streams.audio
        if not tracks:
            kinds = sorted({track.type for track in self._container.streams})
            raise AudioError(
                self._path,
                f"there is no sound track in it, only {' and '.join(kinds) or 'nothing'}: leave this file out",
            )
        number = self._options.track or 1
        if number > len(tracks):
            raise AudioError(self._path, f"there is no audio track {number} in it, only {len(tracks)}")
        self._track = tracks[number - 1]
        self.sample_rate = 0
        self._decoded = 0
        self._decoding = self._frames()
        head = next(self._decoding, None)
        if head is None:
            raise AudioError(self._path, "its sound track is empty (zero samples): leave this file out")
        self._head = head
        self.sample_rate = int(head.sample_rate)
        self.channels = int(head.layout.nb_channels)
        self.mixer = ChannelMixer(self._path, self.channels, self._options)
        self.codec = f"{self._container.format.name} {self._track.codec_context.name}"
        if self._track.duration is not None:
            self.seconds: float | None = float(self._track.duration * self._track.time_base)
        elif self._container.duration is not None:
            self.seconds = self._container.duration / 1_000_000
        else:
            self.seconds = None

    def blocks(self, first: int, last: int | None) -> Iterator[Float32[np.ndarray, " frames"]]:
        """Mono blocks of native samples; see :meth:`soundloom.audio.decoder.Decoder.blocks`."""
        position, frames = self._seek(first)
        begins, filled, block = first, 0, np.empty(BLOCK, np.float32)
        for frame in frames:
            planes = _planes(frame)
            here = max(0, first - position)
            there = planes.shape[1] if last is None else min(planes.shape[1], last - position)
            position += planes.shape[1]
            while here < there:
                taken = min(there - here, BLOCK - filled)
                self.mixer.mix(planes[:, here : here + taken], block[filled : filled + taken])
                here += taken
                filled += taken
                if filled == BLOCK:
                    check_finite(block, begins, self.sample_rate, self._path)
                    yield block
                    begins, filled, block = begins + BLOCK, 0, np.empty(BLOCK, np.float32)
            if last is not None and position >= last:
                break
        else:
            self._check_length(position)
        if filled:
            check_finite(block[:filled], begins, self.sample_rate, self._path)
            yield block[:filled]

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _frames(self) -> Iterator[av.AudioFrame]:
        """Decode from where the container stands."""
        try:
            for frame in self._container.decode(self._track):
                if self.sample_rate and frame.sample_rate != self.sample_rate:
                    raise AudioError(
                        self._path,
                        f"the sample rate changes from {self.sample_rate} to {frame.sample_rate} Hz after "
                        f"{self._decoded / self.sample_rate:.2f} s: split the file there",
                    )
                yield frame
                self._decoded += frame.samples
        except (av.FFmpegError, UnicodeError) as error:
            after = f"{self._decoded / self.sample_rate:.2f}" if self.sample_rate else "0"
            raise AudioError(
                self._path,
                f"decoding fails after {after} s ({_said(error)}): the file is cut short or damaged there; "
                "copy it again from its source",
            ) from error

    def _seek(self, first: int) -> tuple[int, Iterator[av.AudioFrame]]:
        """A native frame not after ``first``, and the decoded frames from there.

        Only MP4 and its kin are sought in, whose clock ticks once a sample: Matroska's ticks once a millisecond,
        and a raw AAC stream has none, so that a seek there would miss the place.
        """
        track, head = self._track, self._head
        exact = "mp4" in self._container.format.name and track.time_base == Fraction(1, self.sample_rate)
        if not exact or head.pts is None or first < SEEK_FROM_SECONDS * self.sample_rate:
            return 0, chain([head], self._decoding)
        try:
            self._container.seek(head.pts + first - WARM_UP, stream=track)
        except av.FFmpegError as error:
            raise AudioError(
                self._path,
                f"cannot go to {first / self.sample_rate:.2f} s ({_said(error)}): read the whole file instead",
            ) from error
        self._decoding = self._frames()
        landed = next(self._decoding, None)
        if landed is None or landed.pts is None:
            return first, iter(())
        self._decoded = landed.pts - head.pts
        return self._decoded, chain([landed], self._decoding)

    def _check_length(self, position: int) -> None:
        """Refuse a track that ended early, where the container counted its packets and so knows its length."""
        if self._track.frames and self.seconds is not None and position < (self.seconds - 1) * self.sample_rate:
            raise AudioError(
                self._path,
                f"decoding ends after {position / self.sample_rate:.2f} s of the {self.seconds:.2f} s that the file "
                "promises: it was cut short; copy it again from its source",
            )


def _planes(frame: av.AudioFrame) -> Float32[np.ndarray, "channels frames"]:
    """The samples of a frame, a row for each channel, in [-1, 1]."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(frame.samples, -1).T
    planes: np.ndarray = array.astype(np.float32, copy=False)
    if array.dtype.kind == "f":
        return planes
    planes = planes / np.float32(2 ** (8 * array.itemsize - 1))
    return planes - 1 if array.dtype.kind == "u" else planes


def _said(error: Exception) -> str:
    """What FFmpeg said, without its numbers."""
    return getattr(error, "strerror", None) or str(error)
