"""Random access to a remote file through ranges of bytes: blocks fetched when they are read, the latest ones kept.

A read that goes on where the last fetch ended fetches twice as much as that, up to 512 kB, so a whole file takes few
requests; a read elsewhere fetches 32 kB, so a region of a long recording takes little more than its own bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any, Protocol

from soundloom.errors import RemoteFileError
from soundloom.sized_reader import SizedReader

__all__ = ["ByteRanges", "RangedBytes", "RangedFile"]

BLOCK = 32768
_MOST_AHEAD = 16
"""Blocks fetched at once, at most."""
_KEPT = 128
"""Blocks kept: 4 MB of a file."""


class ByteRanges(Protocol):
    """A remote file that gives ranges of its bytes."""

    @property
    def size(self) -> int:
        """Bytes in it."""

    def fetch(self, begin: int, end: int) -> bytes:
        """The bytes from ``begin`` up to, not including, ``end``.

        Raises:
            RemoteFileError: they cannot be fetched, or the file is another one by now.
        """


class RangedBytes:
    """The blocks of a remote file, shared by all that read it.

    Args:
        ranges: the file.
    """

    def __init__(self, ranges: ByteRanges) -> None:
        self._ranges = ranges
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._next, self._ahead = 0, 1
        self._lock = Lock()

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._ranges.size

    def read(self, begin: int, length: int) -> bytes:
        """Bytes at an offset; fewer at the end of the file, at least one before it."""
        if begin >= self.size or length <= 0:
            return b""
        number, inside = divmod(begin, BLOCK)
        with self._lock:
            return self._block(number)[inside : inside + length]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._ahead = min(2 * self._ahead, _MOST_AHEAD) if number == self._next else 1
            end = min((number + self._ahead) * BLOCK, self.size)
            content = self._ranges.fetch(number * BLOCK, end)
            if len(content) != end - number * BLOCK:
                raise RemoteFileError(f"{end - number * BLOCK} bytes were asked for and {len(content)} came")
            for place in range(0, len(content), BLOCK):
                self._blocks[number + place // BLOCK] = content[place : place + BLOCK]
            self._next = number + self._ahead
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]


class RangedFile(SizedReader):
    """A remote file to read and seek in.

    Args:
        content: its blocks.
        mtime_ns: when it was changed, in nanoseconds since 1970; 0 if that is not known.
    """

    def __init__(self, content: RangedBytes, mtime_ns: int = 0) -> None:
        super().__init__(content.size)
        self.mtime_ns = mtime_ns
        self._content = content

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes; the number of bytes."""
        target = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(target) and (got := self._content.read(self._position, len(target) - filled)):
            target[filled : filled + len(got)] = got
            filled += len(got)
            self._position += len(got)
        return filled
