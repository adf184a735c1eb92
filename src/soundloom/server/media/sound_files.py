"""Files of a library's segments as the page needs them: playable audio, thumbnails and outlines.

Nothing else on the disk is ever opened: callers come with a segment of the library, never with a path. What is made
of a file is kept by its path, size, modification time and options of decoding, and by the code that made it, so that
it is made again of a changed file and after an upgrade.
"""

from __future__ import annotations

import io
import json
import os
import stat
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from soundloom import pictures
from soundloom.errors import AudioError, RemoteFileError
from soundloom.file_names import os_path
from soundloom.library import Segment
from soundloom.lru_cache import LruCache
from soundloom.remote import RangedFile, is_address, open_binary
from soundloom.server.http.error_responses import ApiError
from soundloom.server.http.range_response import BYTES
from soundloom.server.media.decode_pool import DecodePool
from soundloom.server.media.file_cache import FileCache
from soundloom.server.media.media_types import TRANSCODED, playable
from soundloom.server.media.region_picture import WHOLE_SECONDS, outline_of_stretches, read_stretches
from soundloom.system_errors import reason_of

__all__ = ["Playable", "SoundFiles", "open_sound", "saved_name"]

_TRANSCODING_SECONDS = 300.0
_DRAWING_SECONDS = 60.0
_REMEMBERED = 4096


@dataclass(frozen=True, eq=False)
class Playable:
    """An open file that browsers play, and its media type."""

    file: BinaryIO
    media_type: str


class SoundFiles:
    """What is served of files. Safe to share between threads.

    Args:
        pool: the processes that decode.
        cache: where what they make is kept.
    """

    def __init__(self, pool: DecodePool, cache: FileCache) -> None:
        self._pool = pool
        self._cache = cache
        self._forms: LruCache[dict[str, Any]] = LruCache(_REMEMBERED)

    def whole(self, segment: Segment) -> Playable:
        """The segment's file: itself where browsers play it, else transcoded.

        Raises:
            ApiError: the file is gone.
            AudioError: it is no sound any more.
        """
        return self.played(segment.path)

    def played(self, path: str) -> Playable:
        """A file as browsers play it; the path must come from a row or from an upload."""
        file = open_sound(path)
        try:
            media_type = playable(str(self._form(path)["codec"]))
            if media_type is not None:
                return Playable(file, media_type)
        except BaseException:
            file.close()
            raise
        file.close()
        return Playable(self._transcoded(path, 0.0, None, "FLAC"), TRANSCODED)

    def original(self, segment: Segment) -> Playable:
        """The segment's file as it is, to be kept.

        Raises:
            ApiError: the file is gone.
        """
        return Playable(open_sound(segment.path), BYTES)

    def part(self, segment: Segment) -> Playable:
        """The segment alone, as WAV.

        Raises:
            ApiError: the file is gone.
            AudioError: it is no sound any more, or shorter than it was.
        """
        return self.region(segment, segment.start, segment.end)

    def region(self, segment: Segment, start: float, end: float) -> Playable:
        """A region of the segment's file, as WAV; errors as for `part`."""
        return Playable(self._transcoded(segment.path, start, end, "WAV"), "audio/wav")

    def thumbnail(self, segment: Segment, sample_rate: int, width: int, height: int, theme: str) -> BinaryIO:
        """The segment's spectrogram as a WebP picture, up to half the sample rate; errors as for `part`."""
        return self._made(
            "picture", segment.path, start=segment.start, end=segment.end,
            sample_rate=sample_rate, width=width, height=height, theme=theme,
        )  # fmt: skip

    def region_picture(self, segment: Segment, start: float, end: float, *, excerpts: int, **details: Any) -> BinaryIO:
        """A tile of a viewer of the segment's file, as a PNG; errors as for `part`.

        Args:
            segment: of the file.
            start: where the tile begins in the file, in seconds.
            end: where it stops.
            excerpts: how many are drawn of a tile that is too long to be read whole.
            details: as for `soundloom.server.media.region_picture.spectrogram`.
        """
        task, path, details = "region_picture", segment.path, details | {"start": start, "end": end}
        if end - start <= WHOLE_SECONDS:
            return self._made(task, path, **details)

        def draw(out: str) -> None:
            with self._excerpts(segment, start, end, excerpts) as decoded:
                self._pool.do(task, path, timeout=_DRAWING_SECONDS, out=out, decoded=decoded.name, **details)

        return self._cache.open(self._key(task, path, details | {"excerpts": excerpts}), draw)

    def region_outline(
        self, segment: Segment, start: float, end: float, *, points: int, excerpts: int
    ) -> dict[str, Any]:
        """The least and greatest samples of stretches of a region of the segment's file; errors as for `part`.

        Args:
            segment: of the file.
            start: where the region begins in the file, in seconds.
            end: where it stops.
            points: how many stretches.
            excerpts: how many, of a region that is too long to be read whole: those that `region_picture` draws.
        """
        if end - start > WHOLE_SECONDS:
            with self._excerpts(segment, start, end, excerpts) as decoded:
                least, greatest = outline_of_stretches(read_stretches(decoded.name))
            return {"least": least, "greatest": greatest}
        return self._answer("region_outline", segment.path, start=start, end=end, points=points)

    def form(self, segment: Segment) -> dict[str, Any]:
        """The codec, sample rate and channels of the segment's file; errors as for `part`."""
        return self._form(segment.path)

    def peaks(self, segment: Segment, points: int) -> dict[str, Any]:
        """The outline of the segment's file, and its seconds; errors as for `part`."""
        return self._answer("peaks", segment.path, _TRANSCODING_SECONDS, points=points)

    def samples(self, segment: Segment, start: float, end: float | None, sample_rate: int) -> NDArray[np.float32]:
        """A region of the segment's file at the model's rate, to be embedded; errors as for `part`."""
        with self._made("samples", segment.path, start=start, end=end, sample_rate=sample_rate) as file:
            return np.fromfile(file, np.float32)

    def _excerpts(self, segment: Segment, start: float, end: float, excerpts: int) -> BinaryIO:
        """Excerpts of a long stretch of the segment's file, decoded once for every look of its picture."""
        return self._made("excerpts", segment.path, start=start, end=end, excerpts=excerpts)

    def _transcoded(self, path: str, start: float, end: float | None, container: str) -> BinaryIO:
        return self._made("transcode", path, _TRANSCODING_SECONDS, start=start, end=end, container=container)

    def _form(self, path: str) -> dict[str, Any]:
        """What is in a file, remembered while it stays the same."""
        return self._forms.get(self._look(path), lambda: self._pool.do("codec", path, timeout=_DRAWING_SECONDS))

    def _made(self, task: str, path: str, timeout: float = _DRAWING_SECONDS, **details: Any) -> BinaryIO:
        """The file that a task of `soundloom.server.media.decode_worker` makes of a sound, kept."""

        def make(out: str) -> None:
            self._pool.do(task, path, timeout=timeout, out=out, **details)

        return self._cache.open(self._key(task, path, details), make)

    def _answer(self, task: str, path: str, timeout: float = _DRAWING_SECONDS, **details: Any) -> dict[str, Any]:
        """What a task of `soundloom.server.media.decode_worker` answers, kept as JSON."""

        def make(out: str) -> None:
            answer = self._pool.do(task, path, timeout=timeout, **details)
            Path(out).write_text(json.dumps(answer), encoding="utf-8")

        with self._cache.open(self._key(task, path, details), make) as file:
            answer: dict[str, Any] = json.load(file)
            return answer

    def _key(self, task: str, path: str, details: dict[str, Any]) -> list[Any]:
        """What decides the content of what a task makes of a file."""
        return [task, *self._look(path), details, self._pool.options.to_data()]

    def _look(self, path: str) -> tuple[Any, ...]:
        with open_sound(path) as file:
            raw = getattr(file, "raw", None)
            if isinstance(raw, RangedFile):
                return path, raw.size, raw.mtime_ns, _code_checksum()
            status = os.fstat(file.fileno())
            return path, status.st_size, status.st_mtime_ns, _code_checksum()


@cache
def _code_checksum() -> int:
    """A checksum of the code that decodes and draws: what another version of it made is made anew."""
    sources = (*Path(__file__).parent.glob("*.py"), *Path(pictures.__file__).parent.glob("*.py"))
    return zlib.crc32(b"".join(source.read_bytes() for source in sorted(sources)))


def saved_name(path: str, region: tuple[float, float] | None, media_type: str) -> str:
    """The name under which a browser saves what is made of a file.

    Args:
        path: of the file.
        region: its start and end in seconds, where not the whole file is saved.
        media_type: of what is saved.

    >>> saved_name("/field/marsh.flac", (20.0, 30.5), "audio/wav")
    'marsh 20-30.5 s.wav'
    >>> saved_name("/field/marsh.aiff", None, "audio/flac"), saved_name("/field/marsh.mp3", None, "audio/mpeg")
    ('marsh.flac', 'marsh.mp3')
    """
    stem, ending = os.path.splitext(os.path.basename(path))
    times = "" if region is None else f" {round(region[0], 3):g}-{round(region[1], 3):g} s"
    ending = {"audio/wav": ".wav", TRANSCODED: ".flac"}.get(media_type, ending)
    return stem + times + ending


def open_sound(path: str) -> BinaryIO:
    """Open a regular file, or one at an address, for reading.

    Raises:
        ApiError: it is gone.
        AudioError: it cannot be opened, or is not a file any more.
    """
    if is_address(path):
        try:
            return io.BufferedReader(open_binary(os_path(path)))
        except RemoteFileError as error:
            if error.missing:
                raise ApiError(404, "gone", f"{path!r} is not there now: bring the library up to date") from None
            raise AudioError(path, str(error)) from None
    try:
        # Not blocking: a pipe of that name would never open.
        descriptor = os.open(os_path(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise ApiError(
            404, "gone", f"{path!r} is not there now: connect its drive, or bring the library up to date if it is gone"
        ) from None
    except OSError as error:
        raise AudioError(path, f"it cannot be opened ({reason_of(error)})") from None
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise AudioError(path, "it is not a regular file any more: bring the library up to date")
    return file
