"""Vectors of an index by row number: one matrix, or a large one in half precision with rows that were added since.

A large index is brought up to date without writing its matrix again: vectors of new rows are in a second file, and a
third gives for every row the slot in both, one after the other, where its vector is.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from soundloom.library.search.vector_index.checked_matrix import CheckedMatrix
from soundloom.library.search.vector_index.index_files import IndexFiles

__all__ = ["RowVectors"]

_BATCH = 2**15


class RowVectors:
    """The vectors, mapped into memory and checked as they are read.

    Args:
        files: of the index.

    Raises:
        CacheDamagedError: a file is not as it was written.
    """

    def __init__(self, files: IndexFiles) -> None:
        names = ["vectors.npy", *(["added.npy"] if "added.npy" in files.manifest["files"] else [])]
        self._matrices = [CheckedMatrix(files.open(name)) for name in names]
        self._slots: Int[np.ndarray, " rows"] | None = None
        if "slots.npy" in files.manifest["files"]:
            self._slots = CheckedMatrix(files.open("slots.npy")).checked()[:, 0]

    def __len__(self) -> int:
        return len(self._matrices[0].mapped) if self._slots is None else len(self._slots)

    @property
    def base(self) -> int:
        """Slots of the first matrix."""
        return len(self._matrices[0].mapped)

    @property
    def slots(self) -> int:
        """Slots of both matrices, those of removed rows included."""
        return sum(len(matrix.mapped) for matrix in self._matrices)

    def check(self) -> None:
        """Compare all of them with their checksums.

        Raises:
            CacheDamagedError: they differ.
        """
        for matrix in self._matrices:
            matrix.checked()

    def at(self, rows: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n dim"]:
        """The vectors of some rows, checked."""
        if self._slots is None:
            return np.asarray(self._matrices[0].at(rows), np.float32)
        slots = self._slots[rows].astype(np.int64)
        vectors = np.empty((len(rows), self._matrices[0].mapped.shape[1]), np.float32)
        first = slots < self.base
        vectors[first] = self._matrices[0].at(slots[first])
        if not first.all():
            vectors[~first] = self._matrices[1].at(slots[~first] - self.base)
        return vectors

    def all(self) -> Float[np.ndarray, "rows dim"]:
        """The vectors of all rows, checked: the matrix itself, or a copy where rows were added to it."""
        self.check()
        return self._matrices[0].mapped if self._slots is None else self.at(np.arange(len(self._slots)))

    def slot_of(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The slots of some rows."""
        return rows if self._slots is None else self._slots[rows].astype(np.int64)

    def added_matrix(self) -> Float[np.ndarray, "added dim"]:
        """The second matrix, those of removed rows included."""
        if len(self._matrices) == 1:
            return self._matrices[0].mapped[:0]
        return self._matrices[1].checked()

    def rows_of(self, slots: Int[np.ndarray, " n"]) -> Int[np.ndarray, " _n"]:
        """The rows whose vectors are in some slots; slots of removed rows are left out."""
        if self._slots is None:
            return slots
        rows = self._row_of_slot[slots].astype(np.int64)
        return np.asarray(rows[rows >= 0])

    def in_slots(self, mask: Bool[np.ndarray, " rows"]) -> Bool[np.ndarray, " slots"]:
        """A mask of rows as a mask of the slots of the first matrix."""
        if self._slots is None:
            return mask
        admitted = np.zeros(self.slots, np.bool_)
        admitted[self._slots] = mask
        return admitted[: self.base]

    @cached_property
    def added_rows(self) -> Int[np.ndarray, " added"]:
        """The rows whose vectors are in the second matrix, ascending."""
        return np.zeros(0, np.int64) if self._slots is None else np.flatnonzero(self._slots >= self.base)

    @cached_property
    def added(self) -> Float32[np.ndarray, "added dim"]:
        """Their vectors, kept in memory: every search compares them."""
        return self.at(self.added_rows)

    def products(self, weighted: Float32[np.ndarray, " dim"]) -> Float32[np.ndarray, " rows"]:
        """The product of every row with a query, batch by batch in bounded memory."""
        batches = (np.arange(first, min(first + _BATCH, len(self))) for first in range(0, len(self), _BATCH))
        return np.concatenate([self.at(some) @ weighted for some in batches])

    @cached_property
    def _row_of_slot(self) -> Int[np.ndarray, " slots"]:
        assert self._slots is not None
        rows = np.full(self.slots, -1, np.int32)
        rows[self._slots] = np.arange(len(self._slots), dtype=np.int32)
        return rows
