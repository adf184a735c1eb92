"""A view of a file: stretches of its bytes and bytes given, read as if they were a file of their own.

So a decoder reads a repaired header before the sound that is on the disk, or one of several streams that were joined
end to end, and nothing is copied. Views are plain data and can be sent to another process.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from soundloom.remote import open_binary
from soundloom.sized_reader import SizedReader

__all__ = ["FileView", "Span", "ViewFile"]


@dataclass(frozen=True)
class Span:
    """A stretch of a file, or bytes in its stead.

    Attributes:
        offset: where it begins in the file, in bytes.
        length: bytes.
        given: the bytes, where they are not those of the file.
    """

    offset: int
    length: int
    given: bytes | None = None


@dataclass(frozen=True)
class FileView:
    """Spans in the order in which they are read."""

    spans: tuple[Span, ...]

    @classmethod
    def patched(cls, size: int, patches: dict[int, bytes], start: int = 0) -> FileView:
        """The bytes of a file of ``size`` bytes from ``start`` on, some of them replaced (offset -> bytes)."""
        spans, position = [], start
        for offset, given in sorted(patches.items()):
            if offset > position:
                spans.append(Span(position, offset - position))
            spans.append(Span(offset, len(given), given))
            position = offset + len(given)
        return cls((*spans, Span(position, size - position)))

    def to_data(self) -> list[list[Any]]:
        """The view as plain JSON data."""
        return [[span.offset, span.length, None if span.given is None else span.given.hex()] for span in self.spans]

    @classmethod
    def from_data(cls, data: list[list[Any]]) -> FileView:
        """A view from what `to_data` gave."""
        return cls(tuple(Span(o, n, None if given is None else bytes.fromhex(given)) for o, n, given in data))


class ViewFile(SizedReader):
    """A view as a file to read, without a buffer.

    Args:
        path: the file, or its address.
        view: what of it is read; None: all of it, as it is.
        name: what FFmpeg takes for its name.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str, view: FileView | None = None, name: str = "sound") -> None:
        self.name = name
        self._file = open_binary(path)
        spans = (Span(0, self._file.seek(0, os.SEEK_END)),) if view is None else view.spans
        self._spans = [span for span in spans if span.length > 0]
        self._ends = list(accumulate(span.length for span in self._spans))
        super().__init__(self._ends[-1] if self._ends else 0)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes; the number of bytes."""
        target = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(target) and self._position < self.size:
            number = bisect_right(self._ends, self._position)
            span = self._spans[number]
            inside = self._position - (self._ends[number] - span.length)
            wanted = min(len(target) - filled, span.length - inside)
            if span.given is not None:
                target[filled : filled + wanted] = span.given[inside : inside + wanted]
                got = wanted
            else:
                self._file.seek(span.offset + inside)
                got = self._file.readinto(target[filled : filled + wanted]) or 0
            if not got:
                break
            filled += got
            self._position += got
        return filled

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
