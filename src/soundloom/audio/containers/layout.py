"""Layout of a sound file: what its bytes hold against what its header says, the result of inspecting a container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from soundloom.audio.file_view import FileView
from soundloom.audio.notices import Notice
from soundloom.remote import is_address, open_binary

__all__ = ["Layout", "Missing", "Part", "Slice", "Source", "negligible"]

WINDOW = 1 << 18
_REMOTE_WINDOW = 1 << 14


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a file that one decoder reads to its end.

    Attributes:
        view: the bytes; None: the whole file as it is.
        library: the decoder; None: libsndfile if it can, else FFmpeg.
        counted: whether the length in the header is a count that decoding must reach. Otherwise it is an estimate, and
            decoding goes on to the end.
        entries: for MPEG streams, where a decoder may begin (packet, byte), so that a region is reached at once.
        seconds: the length that the bytes hold, where that is known better than from the header.
        joined: whether streams are joined in it, so that packets at the seams may not be decoded.
        isolated: whether libmpg123, within libsndfile, may decode it, which prints what it finds wrong: a child process
            decodes it then, unless its frames are regular. It changes no sample.
    """

    view: FileView | None = None
    library: Literal["soundfile", "pyav"] | None = None
    counted: bool = True
    entries: tuple[tuple[int, int], ...] = ()
    seconds: float | None = None
    joined: bool = False
    isolated: bool = field(default=False, compare=False)

    def to_data(self) -> dict[str, Any]:
        """The part as plain JSON data."""
        view = None if self.view is None else self.view.to_data()
        return {
            "view": view,
            "library": self.library,
            "counted": self.counted,
            "entries": self.entries,
            "seconds": self.seconds,
            "joined": self.joined,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Part:
        """A part from what `to_data` gave."""
        view = None if data["view"] is None else FileView.from_data(data["view"])
        entries = tuple((packet, offset) for packet, offset in data["entries"])
        return cls(
            view=view,
            library=data["library"],
            counted=data["counted"],
            entries=entries,
            seconds=data["seconds"],
            joined=data["joined"],
        )


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Sound that a file promises and does not hold.

    Attributes:
        present: seconds that are there; None: decoding must find out.
        promised: seconds that the header counts; None: it does not count, but the last packet is cut.
    """

    present: float | None
    promised: float | None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a file is to be decoded.

    Attributes:
        parts: streams joined end to end, in order; mostly one.
        missing: sound that is not there, if any.
        refused: why the file cannot be decoded at all, and what to do; None: it can.
        notices: what was repaired.
    """

    parts: tuple[Part, ...] = (Part(),)
    missing: Missing | None = None
    refused: str | None = None
    notices: tuple[Notice, ...] = ()


def negligible(missing: float, packet: float, promised: float) -> bool:
    """Whether so little lacks at the end that it is no damage: a packet, or two of a longer sound.

    Args:
        missing: what lacks, in any unit.
        packet: the length of a packet.
        promised: what the header counts.
    """
    return missing <= packet or (missing <= 2 * packet and missing <= 0.1 * promised)


class Source:
    """Random access to the bytes of a file, through a window of 256 kB, or of 16 kB of a file at an address.

    Attributes:
        size: bytes in the file.
        head: its first 4096 bytes.
    """

    def __init__(self, path: str) -> None:
        self._file = open_binary(path)
        self.size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        self.head = self._file.read(4096) or b""
        self._reach = _REMOTE_WINDOW if is_address(path) else WINDOW
        self._window, self._begin = self.head, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at an offset; fewer at the end of the file."""
        if offset >= self.size:
            # Damaged sizes point far beyond, where no system seeks.
            return b""
        offset = max(0, offset)
        inside = offset - self._begin
        outside = inside < 0 or inside + length > len(self._window)
        if outside and len(self._window) < self.size:
            # Small files are read whole, and large ones in windows.
            small = self.size <= self._reach
            begin = 0 if small else offset
            self._file.seek(begin)
            if length >= self._reach and not small:
                return self._file.read(length) or b""
            self._window, self._begin, inside = self._file.read(self._reach) or b"", begin, offset - begin
        return self._window[inside : inside + length]

    def find(self, needle: bytes, start: int) -> int:
        """The offset of the next ``needle`` from ``start`` on; -1: there is none."""
        step, lap = 1 << 20, len(needle) - 1
        while start < self.size:
            place = self.read(start, step + lap).find(needle)
            if place >= 0:
                return start + place
            start += step
        return -1


class Slice(Source):
    """A stretch of the bytes of a file, as if it were a file of its own.

    Args:
        whole: the file, which must stay open.
        begin: where the stretch begins, in bytes.
        end: where it ends.
    """

    def __init__(self, whole: Source, begin: int, end: int) -> None:
        self._whole, self._offset = whole, begin
        self.size = max(0, min(end, whole.size) - begin)
        self.head = self.read(0, len(whole.head))

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at an offset; fewer at the end of the stretch."""
        offset = max(0, offset)
        return self._whole.read(self._offset + offset, max(0, min(length, self.size - offset)))
