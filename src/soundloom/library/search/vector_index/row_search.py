"""The best rows of an index: candidates among the rows of its table, and all rows added since, compared exactly.

Small libraries are compared row by row. Cells, codes and lists show which rows of the table to compare; they know
these by slots (`soundloom.library.row_log.merged_order`) and nothing of what came or went since. Slots of rows that
went are left out before the candidates are counted, so these rows crowd out no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from soundloom.library.search.similarity_cache import SimilarityCache
from soundloom.library.search.vector_index.cells import top_rows
from soundloom.library.search.vector_index.index_base import IndexBase
from soundloom.library.search.vector_index.row_vectors import RowVectors

__all__ = ["RowQuery", "RowSearch"]

_SCANNED = 256
"""Codes of lists that are scanned in the time in which a row anywhere in the file is read and compared."""
_MASKS = 8
"""Filters that are kept."""


@dataclass(frozen=True, eq=False)
class RowQuery:
    """What is asked for.

    Attributes:
        standard: the standardised query.
        weights: of the parts.
        weighted: the query, its parts scaled by the weights.
        k: how many rows.
    """

    standard: Float32[np.ndarray, " dim"]
    weights: Mapping[str, float]
    weighted: Float32[np.ndarray, " dim"]
    k: int


@dataclass(frozen=True, eq=False)
class _Admitted:
    """Which rows may be found: all if there is no mask."""

    mask: Bool[np.ndarray, " rows"] | None
    vectors: RowVectors

    @cached_property
    def count(self) -> int:
        """How many they are."""
        return len(self.vectors) if self.mask is None else int(np.count_nonzero(self.mask))

    @cached_property
    def bits(self) -> UInt8[np.ndarray, " bytes"] | None:
        """A bit for each slot of the table; None where all are admitted."""
        if self.mask is None and not self.vectors.removed:
            return None
        mask = np.ones(len(self.vectors), np.bool_) if self.mask is None else self.mask
        return np.packbits(self.vectors.in_slots(mask), bitorder="little")

    def of(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " _n"]:
        """Those of some rows that may be found."""
        return rows if self.mask is None else rows[self.mask[rows]]


class RowSearch:
    """Finds the best rows of an index. Safe to share between threads.

    Args:
        base: the index, as it was built.
        vectors: of all its rows.
    """

    def __init__(self, base: IndexBase, vectors: RowVectors) -> None:
        self._base, self._vectors = base, vectors
        self._similarities = SimilarityCache(vectors, base.parts)
        self._every = _Admitted(None, vectors)
        self._masks: dict[int, _Admitted] = {}

    def best(self, query: RowQuery, mask: Bool[np.ndarray, " rows"] | None) -> Int[np.ndarray, " k"]:
        """The best rows, at most as many as are asked for.

        Args:
            query: what is asked for.
            mask: which rows may be found; all if not given.

        Raises:
            CacheDamagedError: the index is not as it was written.
        """
        admitted = self._every if mask is None else self._known(mask)
        if min(query.k, admitted.count) == 0:
            return np.zeros(0, np.int64)
        for candidates in (self._in_lists, self._in_cells, self._by_codes):
            slots = candidates(query, admitted)
            if slots is not None and (found := self._best_of(slots, query, admitted)) is not None:
                return found
        return self._best_of_all(query, admitted)

    def _in_lists(self, query: RowQuery, admitted: _Admitted) -> Int[np.ndarray, " n"] | None:
        """The slots that lists show; None where there are none, or comparing every row that may be found takes less."""
        if (lists := self._base.lists) is None:
            return None
        k = min(query.k, admitted.count)
        wanted, share = lists.candidates(query.weights, k), lists.share(query.weights, k, admitted.count)
        if admitted.count <= max(4 * wanted, share * len(self._vectors) / _SCANNED):
            return None
        return lists.search(query.weighted, wanted, share, admitted.bits)

    def _in_cells(self, query: RowQuery, admitted: _Admitted) -> Int[np.ndarray, " n"] | None:
        """The slots of the best rows in the nearest cells; None where there are none, or they do not serve."""
        # Similar rows share cells; a search for dissimilar ones, or among few, cannot use them.
        if self._base.cells is None or min(query.weights.values()) < 0 or admitted.count <= len(self._vectors) // 10:
            return None
        return self._base.cells.search(query.weighted, min(query.k, admitted.count), admitted.bits)

    def _by_codes(self, query: RowQuery, admitted: _Admitted) -> Int[np.ndarray, " n"] | None:
        """The slots that codes show; None where there are none, or they save nothing."""
        if (codes := self._base.codes) is None:
            return None
        wanted = codes.candidates(min(query.k, admitted.count), len(self._vectors), admitted.count)
        # However many of the best slots are of rows that went, enough others are among them.
        return None if wanted is None else codes.search(query.weighted, wanted + self._vectors.removed)

    def _best_of(
        self, slots: Int[np.ndarray, " n"], query: RowQuery, admitted: _Admitted
    ) -> Int[np.ndarray, " k"] | None:
        """The best of the rows in some slots and of the added ones; None where the slots hold too few."""
        rows = admitted.of(np.sort(self._vectors.rows_of(slots)))
        added = admitted.of(self._vectors.added_rows)
        if len(rows) < min(query.k, admitted.count - len(added)):
            return None
        compared = self._vectors.at(rows) @ query.weighted
        if len(added):
            products = self._vectors.added @ query.weighted
            if admitted.mask is not None:
                products = products[admitted.mask[self._vectors.added_rows]]
            rows, compared = np.concatenate([rows, added]), np.concatenate([compared, products])
            order = np.argsort(rows)
            rows, compared = rows[order], compared[order]
        return np.asarray(rows[top_rows(compared, query.k)])

    def _best_of_all(self, query: RowQuery, admitted: _Admitted) -> Int[np.ndarray, " k"]:
        """The best rows, each of those that may be found compared."""
        if admitted.mask is None:
            return top_rows(self._similarities.weighted_similarity(query.standard, query.weights), query.k)
        rows = np.flatnonzero(admitted.mask)
        if admitted.count > len(self._vectors) // 4:  # gathering a row costs as much as reading several in order
            compared = self._similarities.weighted_similarity(query.standard, query.weights)[rows]
        else:
            compared = self._vectors.products_at(rows, query.weighted)
        return np.asarray(rows[top_rows(compared, query.k)])

    def _known(self, mask: Bool[np.ndarray, " rows"]) -> _Admitted:
        """What a mask admits; masks are remembered by `FieldMasks`, and their bits here."""
        known = self._masks.get(id(mask))
        if known is None or known.mask is not mask:
            known = _Admitted(mask, self._vectors)
            # A new dictionary for every change: other threads may be reading the old one.
            self._masks = dict([*list(self._masks.items())[-_MASKS + 1 :], (id(mask), known)])
        return known
