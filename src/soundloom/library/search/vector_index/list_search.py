"""Search of a large library: candidates by lists of product codes, compared exactly in half precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from soundloom.library.search.vector_index.cells import top_rows
from soundloom.library.search.vector_index.part_lists import PartLists
from soundloom.library.search.vector_index.row_vectors import RowVectors

__all__ = ["ListSearch"]

_SCANNED = 256
"""Codes that are scanned in the time in which a row anywhere in the file is read and compared."""
_MASKS = 8
"""Filters that are kept."""


@dataclass(frozen=True, eq=False)
class _Mask:
    """Which rows may be found: as given, how many they are, and a bit for each row of the lists."""

    mask: Bool[np.ndarray, " rows"]
    count: int
    bits: UInt8[np.ndarray, " bytes"]


class ListSearch:
    """Finds the best rows of an index that has lists. Safe to share between threads.

    Args:
        lists: of the rows of the index that it was built with.
        vectors: of all its rows.
    """

    def __init__(self, lists: PartLists, vectors: RowVectors) -> None:
        self._lists = lists
        self._vectors = vectors
        self._masks: dict[int, _Mask] = {}

    def best(
        self,
        weights: Mapping[str, float],
        weighted: Float32[np.ndarray, " dim"],
        k: int,
        mask: Bool[np.ndarray, " rows"] | None,
    ) -> Int[np.ndarray, " k"]:
        """The k best rows of those that a mask admits; all rows that added ones are compared with are looked at.

        Args:
            weights: of the parts.
            weighted: the query, its parts scaled by the weights.
            k: how many, at most.
            mask: which rows may be found; all if not given.

        Raises:
            CacheDamagedError: the index is not as it was written.
        """
        known = None if mask is None else self._known(mask)
        count = len(self._vectors) if known is None else known.count
        if (k := min(k, count)) == 0:
            return np.zeros(0, np.int64)
        wanted, share = self._lists.candidates(weights, k), self._lists.share(weights, k, count)
        if count <= max(4 * wanted, share * len(self._vectors) / _SCANNED):
            few = np.arange(count) if mask is None else np.flatnonzero(mask)
            return np.asarray(few[top_rows(self._vectors.at(few) @ weighted, k)])
        slots = self._lists.search(weighted, wanted, share, None if known is None else known.bits)
        rows = np.sort(self._vectors.rows_of(slots))
        compared = self._vectors.at(rows) @ weighted
        if len(added := self._vectors.added_rows):
            products = self._vectors.added @ weighted
            admitted = slice(None) if mask is None else mask[added]
            rows, compared = np.concatenate([rows, added[admitted]]), np.concatenate([compared, products[admitted]])
            order = np.argsort(rows)
            rows, compared = rows[order], compared[order]
        if len(rows) >= k:
            return np.asarray(rows[top_rows(compared, k)])
        # The cells that were scanned hold too few of the admitted rows.
        every = self._vectors.products(weighted)
        return top_rows(every if mask is None else np.where(mask, every, -np.inf).astype(np.float32), k)

    def _known(self, mask: Bool[np.ndarray, " rows"]) -> _Mask:
        """A mask as the lists take it; masks are remembered by `FieldMasks`, and their bits here."""
        known = self._masks.get(id(mask))
        if known is None or known.mask is not mask:
            bits = np.packbits(self._vectors.in_slots(mask), bitorder="little")
            known = _Mask(mask, int(np.count_nonzero(mask)), bits)
            # A new dictionary for every change: other threads may be reading the old one.
            self._masks = dict([*list(self._masks.items())[-_MASKS + 1 :], (id(mask), known)])
        return known
