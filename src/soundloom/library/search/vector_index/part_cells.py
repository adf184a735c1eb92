"""Cells of an inverted multi-index (Babenko and Lempitsky 2012): combinations of k-means cells of the parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

__all__ = ["PartCells"]

_CELLS = 2**16


@dataclass(frozen=True)
class PartCells:
    """The cells: for every block of columns its centroids.

    Attributes:
        blocks: columns of the parts; the halves of the only part where there is one.
        centroids: of each block.
    """

    blocks: Sequence[slice]
    centroids: Sequence[Float32[np.ndarray, "k columns"]]

    @classmethod
    def train(cls, vectors: Float32[np.ndarray, "rows dim"], parts: Mapping[str, slice]) -> PartCells:
        """Find the centroids by k-means over some rows."""
        import faiss

        blocks = list(parts.values())
        if len(blocks) == 1:
            half = (blocks[0].start + blocks[0].stop) // 2
            blocks = [slice(blocks[0].start, half), slice(half, blocks[0].stop)]
        count = max(1, min(int(_CELLS ** (1 / len(blocks)) + 1e-9), len(vectors) // 39))
        centroids = []
        for columns in blocks:
            means = faiss.Kmeans(columns.stop - columns.start, count, niter=10, seed=0)
            means.train(np.ascontiguousarray(vectors[:, columns]))
            centroids.append(np.asarray(means.centroids))
        return cls(blocks, centroids)

    @property
    def count(self) -> int:
        """How many cells there are, empty ones included."""
        return int(np.prod([len(some) for some in self.centroids]))

    def cells_of(self, vectors: Float32[np.ndarray, "rows dim"]) -> Int[np.ndarray, " rows"]:
        """The cell of each vector."""
        cells = np.zeros(len(vectors), np.int64)
        for columns, centroids in zip(self.blocks, self.centroids, strict=True):
            # The nearest centroid: |x - c|^2 is smallest where x.c - |c|^2 / 2 is largest.
            products = vectors[:, columns] @ centroids.T - np.square(centroids).sum(axis=1) / 2
            cells = cells * len(centroids) + products.argmax(axis=1)
        return cells

    def scores(self, weighted: Float32[np.ndarray, " dim"]) -> Float32[np.ndarray, " cells"]:
        """The product of every cell's centroid with a weighted query."""
        scores = np.zeros(1, np.float32)
        for columns, centroids in zip(self.blocks, self.centroids, strict=True):
            scores = np.add.outer(scores, centroids @ weighted[columns]).ravel()
        return scores
