"""Decoding with FFmpeg, through PyAV: m4a, aac, wma, webm, the sound tracks of videos, and MPEG audio without a count.

Where libsndfile cannot read a file, or cannot find its end. PyAV holds the interpreter's lock for much of its work, so
that two threads of it are slower than one, and a crash in a codec takes the process with it: to decode many files use
:class:`soundloom.audio.AvProcess`, which runs this module in a process of its own.

Second 0 is the first sample of the sound track, also where the pictures begin earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain
from typing import Literal

import av
import numpy as np
from jaxtyping import Float32

from soundloom.audio.containers.layout import Part
from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.av_container import open_container, reason
from soundloom.audio.decoders.av_frames import planes, uniform_planes
from soundloom.audio.decoders.base import BLOCK, ChannelMixer, check_header, check_level
from soundloom.audio.file_view import FileView, Span, ViewFile
from soundloom.audio.notices import Notice
from soundloom.errors import AudioError

__all__ = ["AvDecoder"]

# A codec remembers what came before (overlapping windows, band replication, reservoirs of bits): after a seek it needs
# some packets until it sounds as if it had played from the start. 16384 samples are 8 packets of the longest kind of
# AAC; MP3 borrows bits from up to 511 bytes before a frame, 32 frames at 8 kbit/s.
WARM_UP = 16384
WARM_UP_PACKETS = 32
# Below this, decoding up to the place costs less than a seek is worth.
SEEK_FROM_SECONDS = 20
# Packets that may fail where a stream begins in the middle of a recording, and at its end: the last is often cut.
BAD_PACKETS_AT_START, BAD_PACKETS_AT_SEAM, BAD_PACKETS_AT_END = 16, 4, 2
# Containers whose length is a count of samples or packets. Others estimate it from the rate of bits, or keep none.
COUNTING = frozenset("mov avi asf wv ape tta tak mpc mpc8 caf aiff w64 wav dsf iff xwma shn smjpeg".split())  # noqa: SIM905
# Streams without a header, and films: what FFmpeg gives for their length it estimates, or finds in time stamps.
ESTIMATED = frozenset("mp3 aac ac3 eac3 dts dtshd loas latm mlp truehd mpeg mpegts mpegvideo".split())  # noqa: SIM905
# A length is a count where the rate of bits and the size of the file give another, by so much.
LEAST_DISAGREEMENT = 0.05
# What may follow the last packet unsaid: tags and padding.
LARGEST_REST = 4096
# Bytes that all files of a kind begin with, and how far they are looked for.
MARK, LARGEST_SEARCH = 8, 1 << 20
# What may lack at the end beside two packets: some containers count what a decoder keeps back, others milliseconds.
TOLERANCE_SECONDS, ROUNDING_SECONDS = 0.15, 0.01
# Containers in which FFmpeg finds a packet by its time, and codecs whose packets all have one length.
SEEKABLE = frozenset("mov matroska wav w64 aiff caf wv tta ape tak".split())  # noqa: SIM905
EVEN_CODECS = frozenset("aac mp3 mp3float mp2 mp2float ac3 eac3 alac flac opus libopus".split())  # noqa: SIM905
# A level below which a track counts as silent, 90 dB below full scale.
SILENCE = 3e-5


class AvDecoder:
    """A sound track of a file, opened by FFmpeg; see :class:`soundloom.audio.decoders.base.Decoder`.

    Args:
        path: the file.
        options: how it is decoded.
        notices: where what is noticed goes.
        part: the stretch of the file, and what is known of it.

    Raises:
        AudioError: FFmpeg cannot read the file, or there is no sound in it.
    """

    name: Literal["pyav"] = "pyav"
    frames: int | None = None  # Containers count packets or milliseconds, seldom samples.

    def __init__(self, path: str, options: DecodeOptions, notices: list[Notice], part: Part = Part()) -> None:
        self._path, self._options, self._notices, self._part = path, options, notices, part
        self._container = open_container(path, part.view)
        try:
            self._open_track(self._choose())
        except BaseException:
            self._container.close()
            raise

    def _choose(self) -> int:
        """The number of the track wanted, from 0: the one asked for, or the first that is not silent."""
        count = len(self._container.streams.audio)
        if not count:
            kinds = sorted({track.type for track in self._container.streams})
            raise AudioError(
                self._path,
                f"there is no sound track in it, only {' and '.join(kinds) or 'nothing'}: leave this file out",
            )
        wanted = self._options.track
        if wanted is not None and wanted > count:
            raise AudioError(self._path, f"there is no audio track {wanted} in it, only {count}")
        if wanted is not None or count == 1:
            return (wanted or 1) - 1
        number = next((number for number in range(count) if not self._is_silent(number)), 0)
        self._notices.append(
            Notice(
                "track",
                f"{count} audio tracks; number {number + 1} is taken: choose another with DecodeOptions(track=...)",
            )
        )
        return number

    def _is_silent(self, number: int) -> bool:
        """Whether a track is digital silence, found by decoding it up to the first sound; it may be damaged later."""
        with open_container(self._path, self._part.view) as container:
            try:
                for frame in container.decode(container.streams.audio[number]):
                    if np.abs(planes(frame)).max(initial=0) > SILENCE:
                        return False
            except (av.FFmpegError, UnicodeError):
                pass
        return True

    def _open_track(self, number: int) -> None:
        """Decode the first frame of a track, which alone has the true rate (some codecs double it)."""
        self._track = self._container.streams.audio[number]
        self.sample_rate = 0
        self._decoded, self._read = 0.0, 0
        self._claimed: float | None = None
        self._counted = False
        self._decoding = self._frames()
        head = next(self._decoding, None)
        if head is None:
            raise AudioError(self._path, "its sound track is empty (zero samples): leave this file out")
        self._head = head
        self.sample_rate = int(head.sample_rate)
        self.channels = int(head.layout.nb_channels)
        check_header(self._path, self.sample_rate, self.channels, self._options)
        self.mixer = ChannelMixer(self._path, self.channels, self._options)
        self.codec = f"{self._container.format.name} {self._track.codec_context.name}"
        claimed: float | None = None
        if self._track.duration is not None and self._track.time_base is not None:
            claimed = float(self._track.duration * self._track.time_base)
        elif self._container.duration is not None:
            claimed = self._container.duration / 1_000_000
        self._claimed = claimed
        self._counted = self._part.counted and self._is_counted(claimed)
        self.seconds = claimed if self._part.seconds is None else self._part.seconds

    def blocks(self, first: int, last: int | None) -> Iterator[Float32[np.ndarray, " frames"]]:
        """Mono blocks of native samples; see :meth:`soundloom.audio.decoders.base.Decoder.blocks`."""
        position, frames = self._seek(first)
        begins, filled, block = first, 0, np.empty(BLOCK, np.float32)
        for rows in uniform_planes(frames, self.sample_rate, self.channels):
            here = max(0, first - position)
            there = rows.shape[1] if last is None else min(rows.shape[1], last - position)
            position += rows.shape[1]
            while here < there:
                taken = min(there - here, BLOCK - filled)
                self.mixer.mix(rows[:, here : here + taken], block[filled : filled + taken])
                here += taken
                filled += taken
                if filled == BLOCK:
                    check_level(block, begins, self.sample_rate, self._path)
                    yield block
                    begins, filled, block = begins + BLOCK, 0, np.empty(BLOCK, np.float32)
            if last is not None and position >= last:
                break
        else:
            self._check_length(position)
        if filled:
            check_level(block[:filled], begins, self.sample_rate, self._path)
            yield block[:filled]

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _frames(self) -> Iterator[av.AudioFrame]:
        """Decode from where the container stands. Packets that fail at the very beginning or end are passed over."""
        bad, given, cause = 0, False, None
        most = BAD_PACKETS_AT_SEAM if self._part.joined else 0
        try:
            for packet in self._packets():
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    bad, cause = bad + 1, error
                    continue
                if frames and bad > (most if given else BAD_PACKETS_AT_START) and cause is not None:
                    raise cause
                for frame in frames:
                    given, bad = True, 0
                    yield frame
                    self._decoded += frame.samples / frame.sample_rate
            if bad > BAD_PACKETS_AT_END and cause is not None:
                raise cause
        except (av.FFmpegError, UnicodeError) as error:
            # What follows the last packet that was counted is none.
            if not (self._counted and self._claimed and self._decoded >= self._claimed - self._tolerance()):
                self._stop(f"decoding fails after {self._decoded:.2f} s ({reason(error)})", error)

    def _packets(self) -> Iterator[av.Packet]:
        """Packets of the track, and last an empty one that makes the decoder give what it holds."""
        while True:
            try:
                for packet in self._container.demux(self._track):
                    self._read = max(self._read, (packet.pos or 0) + packet.size)
                    yield packet
                return
            except BlockingIOError:
                # A stretch without packets, of which FFmpeg asks to be passed over.
                continue

    def _stop(self, said: str, error: Exception | None = None) -> None:
        """End the decoding early: with a notice where a cut file is accepted, otherwise with an error."""
        if self._options.accept_truncated and self._decoded > 0:
            self._notices.append(Notice("truncated", f"{said}; what comes before is taken"))
            return
        raise AudioError(
            self._path,
            f"{said}: the file is cut short or damaged there; copy it again from its source, or take what there is "
            "with DecodeOptions(accept_truncated=True)",
        ) from error

    def _seek(self, first: int) -> tuple[int, Iterator[av.AudioFrame]]:
        """A native frame not after ``first``, and the decoded frames from there."""
        start = 0, chain([self._head], self._decoding)
        if first < SEEK_FROM_SECONDS * self.sample_rate:
            return start
        if self._part.entries:
            return self._enter(first)
        kinds = set(self._container.format.name.split(","))
        tick = self._track.time_base
        if not kinds & SEEKABLE or self._head.pts is None or tick is None:
            return start
        base = tick * self.sample_rate
        exact = base == 1
        if not exact and self._track.codec_context.name not in EVEN_CODECS:
            return start
        return self._seek_by_time(first, Fraction(base), exact=exact)

    def _seek_by_time(self, first: int, base: Fraction, *, exact: bool) -> tuple[int, Iterator[av.AudioFrame]]:
        """Seek by the container's clock, one tick of which is ``base`` samples.

        Where a tick is not a sample (Matroska's is a millisecond), the place is exact all the same if all packets have
        one length: the number of packets before it is then the nearest whole number.
        """
        head_pts, length = self._head.pts or 0, self._track.codec_context.frame_size or self._head.samples
        try:
            self._container.seek(int(head_pts + (first - WARM_UP) / base), stream=self._track)
        except av.FFmpegError as error:
            raise AudioError(
                self._path,
                f"cannot go to {first / self.sample_rate:.2f} s ({reason(error)}): read the whole file instead",
            ) from error
        self._decoding = self._frames()
        landed = next(self._decoding, None)
        if landed is None or landed.pts is None:
            return first, iter(())
        place = float((landed.pts - head_pts) * base)
        if exact:
            position = round(place)
        else:
            # The first frame may have been trimmed; those after it are whole.
            packets = round((place - self._head.samples) / length)
            position = self._head.samples + packets * length
            if landed.samples != length or abs(position - place) > length / 4 or packets < 0:
                return self._from_start()
        if position > first:
            return self._from_start()
        self._decoded = position / self.sample_rate
        return position, chain([landed], self._decoding)

    def _enter(self, first: int) -> tuple[int, Iterator[av.AudioFrame]]:
        """Begin at a packet of an MPEG stream that is far enough before ``first``, found by its number."""
        length = self._head.samples
        wanted = first // length - WARM_UP_PACKETS
        entries = self._part.entries
        number, offset = max((entry for entry in entries if entry[0] <= wanted), default=entries[0])
        if number == 0:
            return 0, chain([self._head], self._decoding)
        # What FFmpeg makes of bytes before the first frame counts as a packet, too.
        before = 0
        with open_container(self._path, self._part.view) as container:
            for packet in container.demux(container.streams.audio[0]):
                if packet.pos is None or packet.pos >= entries[0][1]:
                    break
                before += 1
        demuxer = self._container.format.name
        size = self._container.size
        self._container.close()
        self._container = open_container(self._path, FileView((Span(offset, size - offset),)), demuxer)
        self._track = self._container.streams.audio[0]
        return self._numbered(number + before, length)

    def _numbered(self, number: int, length: int) -> tuple[int, Iterator[av.AudioFrame]]:
        """Decoded frames from where the container stands, after the packets that could not be decoded."""
        packets = self._container.demux(self._track)
        for packet in packets:
            try:
                frames = packet.decode()
            except av.FFmpegError:
                frames = []
            if frames:
                self._decoded = number * length / self.sample_rate
                self._decoding = self._frames()
                return number * length, chain(frames, self._decoding)
            number += 1
        return number * length, iter(())

    def _from_start(self) -> tuple[int, Iterator[av.AudioFrame]]:
        """Decode from the beginning after all."""
        self._container.seek(self._head.pts or 0, stream=self._track)
        self._decoded = 0.0
        self._decoding = self._frames()
        return 0, self._decoding

    def _check_length(self, position: int) -> None:
        """Compare what was decoded with the length, where the container counts it."""
        self._check_rest()
        if self._claimed is None or not self._counted:
            return
        seconds, tolerance = position / self.sample_rate, self._tolerance()
        if seconds < self._claimed - tolerance:
            self._stop(f"decoding ends after {seconds:.2f} s of the {self._claimed:.2f} s that the file promises")
        elif seconds > self._claimed + tolerance:
            said = f"the header counts {self._claimed:.2f} s, its packets {seconds:.2f} s"
            self._notices.append(Notice("repaired", f"{said}; decoded to the end"))

    def _is_counted(self, claimed: float | None) -> bool:
        """Whether a length, in seconds, is a count in the header, which decoding must reach.

        FFmpeg's estimate is the size of the file divided by the rate of bits. A length that is another than that was
        read from a header; in a file with pictures it may be that of the pictures.
        """
        kinds = self._container.format.name.split(",")
        if not COUNTING.isdisjoint(kinds):
            return True
        rate, size = self._track.codec_context.bit_rate, self._container.size
        if claimed is None or len(self._container.streams) > 1 or not ESTIMATED.isdisjoint(kinds):
            return False
        return not rate or bool(claimed * rate / 8 > size * (1 + LEAST_DISAGREEMENT))

    def _check_rest(self) -> None:
        """Say so where another file of the same kind follows the last packet, which FFmpeg does not read."""
        rest = self._container.size - self._read
        if len(self._container.streams) > 1 or not self._read or rest <= LARGEST_REST:
            return
        with closing(ViewFile(self._path, self._part.view)) as file:
            mark = file.read(MARK) or b""
            file.seek(self._read)
            found = mark in (file.read(LARGEST_SEARCH) or b"")
        if found:
            self._notices.append(
                Notice("joined", f"another file is joined to its end, and left out: {rest} bytes; split the file")
            )

    def _tolerance(self) -> float:
        """Seconds by which the end may differ from the count: two packets of a usual length, and some rounding."""
        longest = max(self._head.samples, self._track.codec_context.frame_size or 0)
        kinds = self._container.format.name.split(",")
        trimmed = not COUNTING.isdisjoint(kinds) and not self._track.codec_context.name.startswith("pcm_")
        return (TOLERANCE_SECONDS if trimmed else ROUNDING_SECONDS) + min(0.1, 2.0 * int(longest) / self.sample_rate)
