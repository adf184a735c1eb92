"""Raw streams of so many bytes, with a position: what reads bytes that are no plain file fills buffers from there."""

from __future__ import annotations

import io
import os

__all__ = ["SizedReader"]


class SizedReader(io.RawIOBase):
    """Bytes to seek in; subclasses read from ``_position`` on, and move it.

    Args:
        size: how many bytes there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position; the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position
