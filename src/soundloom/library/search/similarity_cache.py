"""LRU cache of per-part cosine similarities between recent queries and all rows.

A search that is steered asks for the same sound again and again with other weights. The similarity of a row is the
weighted mean of its parts' cosines, so with the cosines at hand a hundred thousand rows are weighted in a fraction of
the time that comparing them takes. The first search of a sound goes the same way, so that its result does not depend
on earlier searches.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from soundloom.library.search.vector_index.row_vectors import RowVectors
from soundloom.lru_cache import LruCache

__all__ = ["SimilarityCache"]

_BYTES = 64 * 2**20
"""Size of the cache, at most; one query's cosines are kept whatever their size."""


class SimilarityCache:
    """The cosines of all rows to recent queries. Safe to share between threads.

    Args:
        vectors: standardised embeddings of the rows, every part of unit length.
        parts: part name -> its columns.
    """

    def __init__(self, vectors: RowVectors, parts: Mapping[str, slice]) -> None:
        self._vectors = vectors
        self._parts = parts
        kept = max(1, _BYTES // max(1, 4 * len(vectors) * len(parts)))
        self._of_query: LruCache[Float[np.ndarray, "parts rows"]] = LruCache(kept)

    def weighted_similarity(
        self, query: Float[np.ndarray, " dim"], weights: Mapping[str, float]
    ) -> Float[np.ndarray, " rows"]:
        """Every row's weighted sum of cosines.

        Args:
            query: standardised, as the rows are.
            weights: part name -> weight, for every part.
        """
        cosines = self._of_query.get(query.tobytes(), lambda: self._cosines(query))
        return np.asarray(np.array([weights[name] for name in self._parts], np.float32) @ cosines)

    def _cosines(self, query: Float[np.ndarray, " dim"]) -> Float[np.ndarray, "parts rows"]:
        return np.stack([self._vectors.products(query[columns], columns) for columns in self._parts.values()])
