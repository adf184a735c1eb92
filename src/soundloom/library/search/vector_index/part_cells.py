"""Cells of one part of embeddings: many small k-means cells, looked for among the coarse cells nearest to a vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

__all__ = ["PartCells", "cell_count"]

_CELLS_PER_ROOT = 6
_FEWEST_ROWS = 39
"""Of a cell, on average."""
_TRAINED_ON, _ITERATIONS = 32, 6
"""Rows for each cell."""
_FLAT = 1024
"""Cells up to which every one is compared."""
_COARSE_VISITED = 4


@dataclass(frozen=True)
class PartCells:
    """The cells.

    Attributes:
        columns: the part's.
        centroids: a row for each cell.
    """

    columns: slice
    centroids: Float32[np.ndarray, "cells columns"]

    @classmethod
    def train(cls, vectors: Float[np.ndarray, "rows columns"], columns: slice, count: int) -> PartCells:
        """Find so many cells by k-means.

        Args:
            vectors: these columns of some rows; `trained_on` says how many are enough.
            columns: the part's.
            count: of cells.
        """
        import faiss

        given = np.ascontiguousarray(vectors, np.float32)
        clustering = faiss.Clustering(given.shape[1], count)
        clustering.niter, clustering.seed, clustering.update_index = _ITERATIONS, 0, True
        clustering.min_points_per_centroid, clustering.max_points_per_centroid = 1, len(given) // count + 1
        train: Any = clustering.train  # the wrapper of Python takes arrays
        train(given, _finder(given.shape[1], count))
        centroids = faiss.vector_to_array(clustering.centroids).reshape(count, -1)
        return cls(columns, np.array(centroids, np.float32))

    @staticmethod
    def trained_on(count: int) -> int:
        """How many rows so many cells are found by."""
        return _TRAINED_ON * count

    def cells_of(self, vectors: Float32[np.ndarray, "rows dim"]) -> Int[np.ndarray, " rows"]:
        """The cell of each vector: that of the nearest centroid."""
        _, cells = self._finder.search(np.ascontiguousarray(vectors[:, self.columns]), 1)
        return np.asarray(cells[:, 0])

    def scores(self, weighted: Float32[np.ndarray, " dim"]) -> Float32[np.ndarray, " cells"]:
        """The product of every centroid with the part of a weighted query."""
        # By one thread: sharing so little among several takes longer than doing it.
        return np.asarray(np.einsum("ij,j->i", self.centroids, weighted[self.columns]))

    @cached_property
    def _finder(self) -> Any:
        finder = _finder(self.centroids.shape[1], len(self.centroids))
        finder.train(self.centroids)
        finder.add(self.centroids)
        return finder


def cell_count(rows: int) -> int:
    """How many cells a part has: in proportion to the root of the rows, so that cells and their rows both grow."""
    return max(1, min(int(_CELLS_PER_ROOT * sqrt(rows)), rows // _FEWEST_ROWS))


def _finder(dim: int, count: int) -> Any:
    """Finds the nearest of so many centroids, exactly where they are few."""
    import faiss

    if count <= _FLAT:
        return faiss.IndexFlatL2(dim)
    finder = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, int(sqrt(count)))
    finder.nprobe = _COARSE_VISITED
    finder.cp.min_points_per_centroid = 1
    return finder
