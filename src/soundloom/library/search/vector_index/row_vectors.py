"""Vectors of an index by row number: those of its table, in single or half precision, and those that were added since.

An index is brought up to date without writing its matrix again: vectors of new rows are in the log of changes.
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
        norms: lengths of these vectors' parts before they had unit length, if they are known.
        rows: the rows, with those that were added.
    """

    def __init__(self, matrix: CheckedMatrix, norms: CheckedMatrix | None, rows: MergedRows) -> None:
        self._matrix, self._norms, self._log = matrix, norms, rows.log
        self._order = rows.order
        self.added: Float32[np.ndarray, "added dim"] = (
            np.zeros((0, matrix.mapped.shape[1]), np.float32)
            if rows.log is None
            else np.asarray(rows.log.vectors, np.float32)
        )
        """The vectors of the added rows, kept in memory: every search compares them."""

    def __len__(self) -> int:
        return len(self._order)

    @property
    def added_rows(self) -> Int[np.ndarray, " added"]:
        """The rows that were added, ascending."""
        return self._order.inserted

    @property
    def removed(self) -> int:
        """How many slots of the matrix hold rows that went."""
        return len(self._order.removed)

    def at(self, rows: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n dim"]:
        """The vectors of some rows, checked."""
        return self._merged_at(self._matrix, self.added, rows)

    def norms_at(self, rows: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n parts"] | None:
        """The lengths of the parts of some rows before they had unit length, checked; None where they are not known."""
        if self._norms is None:
            return None
        added = np.zeros((0, self._norms.mapped.shape[1]), np.float32) if self._log is None else self._log.norms
        return self._merged_at(self._norms, added, rows)

    def all(self) -> Float[np.ndarray, "rows dim"]:
        """The vectors of all rows, checked: the matrix itself, or a copy where rows came or went."""
        matrix = self._matrix.checked()
        if self._order.is_plain:
            return matrix
        vectors = np.empty((len(self), matrix.shape[1]), matrix.dtype)
        for first in range(0, len(vectors), _BATCH):
            some = slice(first, min(first + _BATCH, len(vectors)))
            vectors[some] = self.at(np.arange(some.start, some.stop))
        return vectors

    def rows_of(self, slots: Int[np.ndarray, " n"]) -> Int[np.ndarray, " _n"]:
        """The rows whose vectors are in some slots of the matrix; slots of removed rows are left out."""
        rows = self._order.rows(slots)
        return np.asarray(rows[rows >= 0])

    def in_slots(self, mask: Bool[np.ndarray, " rows"]) -> Bool[np.ndarray, " slots"]:
        """A mask of rows as a mask of the slots of the matrix, without those of removed rows."""
        if self._order.is_plain:
            return mask
        removed = self._order.removed
        kept = np.delete(mask, self._order.inserted)
        return np.insert(kept, removed - np.arange(len(removed)), False)

    def products(
        self, query: Float32[np.ndarray, " columns"], columns: slice = slice(None)
    ) -> Float32[np.ndarray, " rows"]:
        """The product of some columns of every row with a query; of a matrix in half precision batch by batch."""
        matrix = self._matrix.checked()
        step = len(matrix) if matrix.dtype == np.float32 else _BATCH
        batches = (matrix[first : first + step, columns] for first in range(0, len(matrix), max(1, step)))
        of_table = [np.zeros(0, np.float32), *(np.asarray(some, np.float32) @ query for some in batches)]
        return np.asarray(self._order.merged(np.concatenate(of_table), self.added[:, columns] @ query))

    def products_at(
        self, rows: Int[np.ndarray, " n"], weighted: Float32[np.ndarray, " dim"]
    ) -> Float32[np.ndarray, " n"]:
        """The product of some rows with a query, in bounded memory."""
        batches = (rows[first : first + _BATCH] for first in range(0, len(rows), _BATCH))
        return np.concatenate([np.zeros(0, np.float32), *(self.at(some) @ weighted for some in batches)])

    def _merged_at(
        self, of_table: CheckedMatrix, added: Float32[np.ndarray, "added columns"], rows: Int[np.ndarray, " n"]
    ) -> Float32[np.ndarray, "n columns"]:
        slots, base = self._order.slots(np.asarray(rows)), self._order.count
        if not len(added):
            return np.asarray(of_table.at(slots), np.float32)
        found = np.empty((len(slots), added.shape[1]), np.float32)
        first = slots < base
        found[first] = of_table.at(slots[first])
        found[~first] = added[slots[~first] - base]
        return found
