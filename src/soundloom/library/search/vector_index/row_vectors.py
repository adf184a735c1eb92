"""Vectors of an index by row number: one matrix, or a large one in half precision with the rows that were added since.

A large index is brought up to date without writing its matrix again: vectors of new rows are in the log of changes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from soundloom.library.row_log.merged_rows import MergedRows
from soundloom.library.search.vector_index.checked_matrix import CheckedMatrix

__all__ = ["RowVectors"]

_BATCH = 2**15


class RowVectors:
    """The vectors, mapped into memory and checked as they are read.

    Args:
        matrix: of the table's rows.
        rows: the rows, with those that were added.
    """

    def __init__(self, matrix: CheckedMatrix, rows: MergedRows) -> None:
        self._matrix = matrix
        self._order = rows.order
        self.added: Float32[np.ndarray, "added dim"] = (
            np.zeros((0, 0), np.float32) if rows.log is None else rows.log.vectors.astype(np.float32)
        )
        """The vectors of the added rows, kept in memory: every search compares them."""

    def __len__(self) -> int:
        return len(self._order)

    @property
    def added_rows(self) -> Int[np.ndarray, " added"]:
        """The rows that were added, ascending."""
        return self._order.inserted

    def at(self, rows: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n dim"]:
        """The vectors of some rows, checked."""
        slots, base = self._order.slots(np.asarray(rows)), self._order.count
        if not len(self.added):
            return np.asarray(self._matrix.at(slots), np.float32)
        vectors = np.empty((len(slots), self._matrix.mapped.shape[1]), np.float32)
        first = slots < base
        vectors[first] = self._matrix.at(slots[first])
        vectors[~first] = self.added[slots[~first] - base]
        return vectors

    def all(self) -> Float[np.ndarray, "rows dim"]:
        """The vectors of all rows, checked: the matrix itself, or a copy where rows were added to it."""
        matrix = self._matrix.checked()
        return matrix if self._order.is_plain else self.at(np.arange(len(self)))

    def rows_of(self, slots: Int[np.ndarray, " n"]) -> Int[np.ndarray, " _n"]:
        """The rows whose vectors are in some slots of the matrix; slots of removed rows are left out."""
        rows = self._order.rows(slots)
        return np.asarray(rows[rows >= 0])

    def in_slots(self, mask: Bool[np.ndarray, " rows"]) -> Bool[np.ndarray, " slots"]:
        """A mask of rows as a mask of the slots of the matrix."""
        if self._order.is_plain:
            return mask
        removed = self._order.removed
        kept = np.delete(mask, self._order.inserted)
        return np.insert(kept, removed - np.arange(len(removed)), False)

    def products(self, weighted: Float32[np.ndarray, " dim"]) -> Float32[np.ndarray, " rows"]:
        """The product of every row with a query, batch by batch in bounded memory."""
        batches = (np.arange(first, min(first + _BATCH, len(self))) for first in range(0, len(self), _BATCH))
        return np.concatenate([self.at(some) @ weighted for some in batches])
