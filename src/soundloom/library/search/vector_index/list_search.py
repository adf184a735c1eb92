"""Search of a large library: candidates by lists of product codes, compared exactly in half precision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from soundloom.library.search.vector_index.cells import top_rows
from soundloom.library.search.vector_index.index_files import IndexFiles
from soundloom.library.search.vector_index.part_lists import open_lists
from soundloom.library.search.vector_index.row_vectors import RowVectors

__all__ = ["ListSearch"]

_SCANNED = 256
"""Codes that are scanned in the time in which a row anywhere in the file is read and compared."""
_MASKS = 16
"""Filters whose bits are kept: a byte for eight rows each."""


class ListSearch:
    """Finds the best rows of an index that has lists. Safe to share between threads.

    Args:
        files: of the index.
        parts: part name -> its columns.
        vectors: of its rows.

    Raises:
        CacheDamagedError: a file is not as it was written.
    """

    def __init__(self, files: IndexFiles, parts: Mapping[str, slice], vectors: RowVectors) -> None:
        settings = files.manifest["lists"]
        lists = [files.open(f"lists-{number}.bin") for number in range(len(parts))]
        self._lists = open_lists(files.arrays("cells.npz"), parts, lists, settings)
        self._vectors = vectors
        self._bits: dict[int, tuple[Bool[np.ndarray, " rows"], UInt8[np.ndarray, " bytes"]]] = {}

    def check(self) -> None:
        """Compare the lists with their checksums.

        Raises:
            CacheDamagedError: they are not as they were written.
        """
        self._lists.check()

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
            k: not more than are admitted.
            mask: which rows may be found; all if not given.

        Raises:
            CacheDamagedError: the index is not as it was written.
        """
        count = len(self._vectors) if mask is None else int(np.count_nonzero(mask))
        wanted, share = self._lists.candidates(k), self._lists.share(weights, k, count)
        if count <= max(4 * wanted, share * len(self._vectors) / _SCANNED):
            few = np.arange(count) if mask is None else np.flatnonzero(mask)
            return np.asarray(few[top_rows(self._vectors.at(few) @ weighted, k)])
        bits = None if mask is None else self._bits_of(mask)
        slots = self._lists.search(weighted, wanted, share, bits)
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

    def _bits_of(self, mask: Bool[np.ndarray, " rows"]) -> UInt8[np.ndarray, " bytes"]:
        """A mask as the lists take it; masks are remembered by `FieldMasks`, and their bits here."""
        known = self._bits.get(id(mask))
        if known is None or known[0] is not mask:
            known = mask, np.packbits(self._vectors.in_slots(mask), bitorder="little")
            # A new dictionary for every change: other threads may be reading the old one.
            self._bits = dict([*list(self._bits.items())[-_MASKS + 1 :], (id(mask), known)])
        return known[1]
