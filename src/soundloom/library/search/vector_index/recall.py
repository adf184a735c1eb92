"""Recall of an approximate search, measured over rows of the index itself: by all parts together, and by each alone.

A row counts as found if it is as similar as the k-th true neighbour: of copies of one sound any may be found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

__all__ = ["RecallSample", "nearest", "sample_queries"]

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
        every, rows = sample_queries(vectors, parts)
        best, _ = nearest(vectors, every, (rows, rows + 1), _K)
        return cls(vectors, every, rows, best[:, -1])

    def is_reached(self, search: Search) -> bool:
        """Whether a search, which is given a query and how many rows to find, finds enough of the true neighbours."""
        found = 0
        for query, itself, kth in zip(self.queries, self.rows, self.kth, strict=True):
            rows = search(query, _K + 1)
            similarity = self.vectors[rows[rows != itself]] @ query
            found += min(_K, int((similarity >= kth - _ROUNDING).sum()))
        return found >= _WANTED * _K * len(self.queries)


def sample_queries(
    vectors: Float[np.ndarray, "rows dim"], parts: Mapping[str, slice], count: int = _QUERIES
) -> tuple[Float32[np.ndarray, "queries dim"], Int[np.ndarray, " queries"]]:
    """Some rows as queries, first by all parts together and then by each alone, and the number of each one's row."""
    chosen = np.sort(np.random.default_rng(1).choice(len(vectors), min(count, len(vectors)), replace=False))
    queries = [np.array(vectors[chosen], np.float32)]
    if len(parts) > 1:
        for columns in parts.values():
            one_part = np.zeros_like(queries[0])
            one_part[:, columns] = queries[0][:, columns]
            queries.append(one_part)
    return np.concatenate(queries), np.tile(chosen, len(queries))


def nearest(
    vectors: Float[np.ndarray, "rows dim"],
    queries: Float32[np.ndarray, "queries dim"],
    excluded: tuple[Int[np.ndarray, " queries"], Int[np.ndarray, " queries"]],
    k: int,
) -> tuple[Float32[np.ndarray, "queries k"], Int[np.ndarray, "queries k"]]:
    """The k largest similarities of each query to rows that are not excluded, largest first, and those rows.

    Args:
        vectors: standardised embeddings of all rows, in single or half precision, read once in their order.
        queries: standardised embeddings.
        excluded: the first row that each query must not find, and the one after the last.
        k: how many; similarities are -inf where there are fewer rows.
    """
    best = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.zeros((len(queries), k), np.int64)
    for first in range(0, len(vectors), _BATCH):
        similarity = queries @ np.asarray(vectors[first : first + _BATCH], np.float32).T
        for row, (start, stop) in enumerate(zip(*excluded, strict=True)):
            similarity[row, max(0, start - first) : max(0, stop - first)] = -np.inf
        # After the first batches few rows are better than the best so far.
        better = similarity > best[:, -1:]
        for query in np.flatnonzero(better.any(axis=1)):
            new = np.flatnonzero(better[query])
            both = np.concatenate([best[query], similarity[query, new]])
            order = np.argsort(-both, kind="stable")[:k]
            best[query], rows[query] = both[order], np.concatenate([rows[query], first + new])[order]
    return best, rows
