"""Product codes of standardised embeddings: a first pass over all rows that reads 2 bits a number, with FAISS.

Two neighbouring columns are one of 16 centroids, 4 bits (product quantisation, Jégou 2011); their inner products with a
query are looked up in registers, 32 rows at a time (Quick ADC, André 2017). The candidates are then compared exactly:
codes decide which rows are looked at, and not how similar they are. How many candidates a recall of 0.995 takes is
measured when the file is built.

Unlike cells, codes need no clusters, and serve weights below zero and filters that leave many rows.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from soundloom.library.search.vector_index.recall import RecallSample
from soundloom.library.storage.block_checksums import CheckedFile
from soundloom.system_errors import one_line_errors

__all__ = ["Codes", "build_codes", "even_columns"]

_FEWEST_ROWS = 1000
_TRAINED_ON = 16384
_BATCH = 8192
_FEWEST, _MOST = 128, 8192
"""Candidates of ten neighbours."""
_NEIGHBOURS = 10


class Codes:
    """Codes on disk, read into memory by the first search.

    Args:
        file: the file that `build_codes` wrote.
        candidates: how many rows are compared exactly, for ten neighbours among all rows.
    """

    def __init__(self, file: CheckedFile, candidates: int) -> None:
        self._file = file
        self._candidates = candidates
        self._index: Any = None
        self._lock = Lock()

    def check(self) -> None:
        """Compare the whole file with its checksums.

        Raises:
            CacheDamagedError: it is not as it was written.
        """
        self._file.check_all()

    def candidates(self, k: int, rows: int, admitted: int) -> int | None:
        """How many of all rows are candidates for k neighbours; None where comparing every admitted row takes less.

        Args:
            k: neighbours.
            rows: in the index.
            admitted: by a filter.
        """
        wanted = self._candidates * max(1.0, k / _NEIGHBOURS) * rows / max(1, admitted)
        return round(wanted) if 2 * wanted < admitted and 4 * wanted < rows else None

    def search(self, query: Float32[np.ndarray, " dim"], count: int) -> Int[np.ndarray, " n"]:
        """The rows of the largest inner products with a weighted query, as far as their codes show.

        Raises:
            CacheDamagedError: the codes on disk are not as they were written.
        """
        return _search(self._opened(), query, count)

    def _opened(self) -> Any:
        with self._lock:
            if self._index is None:
                import faiss

                # FAISS trusts what it reads, so the whole file must be right before FAISS sees it.
                self._index = faiss.deserialize_index(np.frombuffer(self._file.content(), np.uint8))
            return self._index


def build_codes(vectors: Float32[np.ndarray, "rows dim"], sample: RecallSample, file: Path) -> int | None:
    """Write the codes of standardised embeddings; None if they take too many candidates to find the neighbours.

    Args:
        vectors: standardised embeddings.
        sample: queries that recall is measured by.
        file: where to write.

    Returns:
        How many candidates are compared exactly.

    Raises:
        ResourceError: the file cannot be written.
    """
    import faiss

    count, dim = vectors.shape
    if count < _FEWEST_ROWS:
        return None
    index = faiss.IndexPQFastScan(dim + dim % 2, (dim + 1) // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.seed = 0
    some = np.random.default_rng(0).choice(count, min(count, _TRAINED_ON), replace=False)
    index.train(even_columns(vectors[np.sort(some)]))
    for first in range(0, count, _BATCH):
        index.add(even_columns(vectors[first : first + _BATCH]))
    candidates = _FEWEST
    while not sample.is_reached(partial(_found, index, candidates=candidates)):
        candidates *= 2
        if candidates > min(_MOST, count // 4):
            return None
    with one_line_errors(file):
        faiss.write_index(index, str(file))
    return candidates


def _found(index: Any, query: Float32[np.ndarray, " dim"], k: int, *, candidates: int) -> Int[np.ndarray, " n"]:
    """All candidates: whatever is among them, the exact comparison finds."""
    return _search(index, query, max(k, candidates))


def _search(index: Any, query: Float32[np.ndarray, " dim"], count: int) -> Int[np.ndarray, " n"]:
    _, rows = index.search(even_columns(query[None]), count)
    return np.asarray(rows[0][rows[0] >= 0])


def even_columns(vectors: Float32[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows _dim"]:
    """Vectors with a column of zeros where the number of columns is odd."""
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, vectors.shape[1] % 2))))
