"""Similarities between all rows of an index, block by block, in bounded memory: nearest rows, and pairs above a limit.

The similarity is that of a search: the weighted mean of the parts' cosines. A block has at most `_BLOCK` similarities,
so memory does not grow with the square of the library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float32, Int

from soundloom.part_weights import weight_shares

__all__ = ["nearest_pairs", "pairs_above"]

_BLOCK = 2**24
"""Similarities computed at a time: 64 MiB in single precision."""

Pairs = tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"], Float32[np.ndarray, " pairs"]]
"""Numbers of the first and of the second row of each pair, and their similarities."""


def nearest_pairs(
    vectors: Float32[np.ndarray, "rows dim"],
    parts: Mapping[str, slice],
    weights: Mapping[str, float],
    rows: Int[np.ndarray, " n"],
    k: int | None,
) -> Iterator[Pairs]:
    """For each of some rows the most similar others of them, best first, equal ones in their order.

    Args:
        vectors: standardised embeddings, every part of unit length.
        parts: part name -> its columns.
        weights: part name -> weight, for every part; one must not be zero.
        rows: numbers of the rows that are compared with each other, ascending.
        k: how many others of each; all of them, in their own order, if not given.
    """
    for first, similarities in _blocks(vectors, parts, weights, rows):
        count = len(rows) - 1 if k is None else min(k, len(rows) - 1)
        for place, row in enumerate(similarities, start=first):
            if k is None:
                chosen = np.delete(np.arange(len(rows)), place)
            else:
                row[place] = -np.inf
                least = np.partition(row, len(rows) - count)[len(rows) - count] if count else np.inf
                chosen = np.flatnonzero(row >= least)
                chosen = chosen[np.argsort(-row[chosen], kind="stable")][:count]
            yield np.full(len(chosen), rows[place]), rows[chosen], row[chosen]


def pairs_above(
    vectors: Float32[np.ndarray, "rows dim"],
    parts: Mapping[str, slice],
    weights: Mapping[str, float],
    limit: float,
) -> Iterator[Pairs]:
    """All pairs of different rows that are at least so similar, each in both orders.

    Args:
        vectors: as for `nearest_pairs`.
        parts: as for `nearest_pairs`.
        weights: as for `nearest_pairs`.
        limit: the least similarity.
    """
    for first, similarities in _blocks(vectors, parts, weights, np.arange(len(vectors))):
        places, others = np.nonzero(similarities >= np.float32(limit))
        different = places + first != others
        places, others = places[different], others[different]
        yield places + first, others, similarities[places, others]


def _blocks(
    vectors: Float32[np.ndarray, "rows dim"],
    parts: Mapping[str, slice],
    weights: Mapping[str, float],
    rows: Int[np.ndarray, " n"],
) -> Iterator[tuple[int, Float32[np.ndarray, "block n"]]]:
    """Similarities of some rows to all of them: the first of each block, and the block."""
    scale = np.zeros(vectors.shape[1], np.float32)
    for name, share in weight_shares(weights).items():
        scale[parts[name]] = share
    step = max(1, _BLOCK // max(1, len(rows)))
    every = vectors if len(rows) == len(vectors) else vectors[rows]
    for first in range(0, len(rows), step):
        yield first, (every[first : first + step] * scale) @ every.T
