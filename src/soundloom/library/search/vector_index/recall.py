"""Recall of an approximate search, measured over rows of the index itself: by all parts together, and by each alone.

A row counts as found if it is as similar as the k-th true neighbour: of copies of one sound any may be found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

__all__ = ["RecallSample"]

_QUERIES = 48
_K = 10
_WANTED = 0.995
_BATCH = 65536
_ROUNDING = 1e-6

Search = Callable[[Float32[np.ndarray, " dim"], int], Int[np.ndarray, " n"]]


@dataclass(frozen=True)
class RecallSample:
    """Queries with the similarity of their k-th neighbours.

    Attributes:
        queries: standardised embeddings of some rows, and the same with all parts but one at zero.
        rows: the row that each query is, which it must not find.
        kth: similarity of each query's k-th neighbour.
    """

    vectors: Float32[np.ndarray, "rows dim"]
    queries: Float32[np.ndarray, "queries dim"]
    rows: Int[np.ndarray, " queries"]
    kth: Float32[np.ndarray, " queries"]

    @classmethod
    def draw(cls, vectors: Float32[np.ndarray, "rows dim"], parts: Mapping[str, slice]) -> RecallSample:
        """Choose queries among standardised embeddings, and find their neighbours by comparing every row."""
        chosen = np.sort(np.random.default_rng(1).choice(len(vectors), min(_QUERIES, len(vectors)), replace=False))
        queries = [np.array(vectors[chosen])]
        if len(parts) > 1:
            for columns in parts.values():
                one_part = np.zeros_like(queries[0])
                one_part[:, columns] = queries[0][:, columns]
                queries.append(one_part)
        every, rows = np.concatenate(queries), np.tile(chosen, len(queries))
        best = np.full((len(every), 0), -np.inf, np.float32)
        for first in range(0, len(vectors), _BATCH):
            similarity = every @ vectors[first : first + _BATCH].T
            inside = (rows >= first) & (rows < first + similarity.shape[1])
            similarity[inside, rows[inside] - first] = -np.inf
            best = np.sort(np.concatenate([best, similarity], axis=1), axis=1)[:, -_K:]
        return cls(vectors, every, rows, best[:, 0])

    def is_reached(self, search: Search) -> bool:
        """Whether a search, which is given a query and how many rows to find, finds enough of the true neighbours."""
        found = 0
        for query, itself, kth in zip(self.queries, self.rows, self.kth, strict=True):
            rows = search(query, _K + 1)
            similarity = self.vectors[rows[rows != itself]] @ query
            found += min(_K, int((similarity >= kth - _ROUNDING).sum()))
        return found >= _WANTED * _K * len(self.queries)
