"""Rows of numbers of a search index, mapped into memory and compared with their checksums before their first use."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float, Int

from soundloom.library.storage.block_checksums import CheckedFile

__all__ = ["CheckedMatrix"]


class CheckedMatrix:
    """An array file as a memory map.

    Args:
        file: the array file; its header is checked here.

    Attributes:
        mapped: all rows, not checked.

    Raises:
        CacheDamagedError: the header is not as it was written.
    """

    def __init__(self, file: CheckedFile) -> None:
        file.check(0, 1)
        buffer = file.buffer()
        header = io.BytesIO(buffer[: 2**12])
        np.lib.format.read_magic(header)
        shape, _, dtype = np.lib.format.read_array_header_1_0(header)
        self._file, self._first = file, header.tell()
        self.mapped: Float[np.ndarray, "rows dim"] = np.frombuffer(buffer, dtype, offset=self._first).reshape(shape)
        self._row_bytes = self.mapped.itemsize * self.mapped.shape[1]

    def check(self) -> None:
        """Compare all rows with their checksums; see `checked`."""
        self._file.check_all()

    def checked(self) -> Float[np.ndarray, "rows dim"]:
        """All rows, as a memory map.

        Raises:
            CacheDamagedError: they are not as they were written.
        """
        self._file.check_all()
        return self.mapped

    def at(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n dim"]:
        """A copy of some rows.

        Raises:
            CacheDamagedError: a block that holds one is not as it was written.
        """
        first = self._first + rows * self._row_bytes
        self._file.check_ranges(first, first + self._row_bytes)
        return np.asarray(self.mapped[rows])
