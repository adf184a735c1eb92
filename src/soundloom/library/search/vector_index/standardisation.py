"""Column standardisation and per-part normalisation of embeddings, which makes them comparable by inner products.

Raw embeddings compare poorly: a log-mel mean is mostly the same large negative number for every sound, and its cosine
says little. Every column is therefore centred and scaled by the library's own mean and deviation, and every part is
brought to unit length. A part that its model says is to be centred alone, such as principal components, is scaled by
one deviation: its later columns vary less, and are worth less (`soundloom.column_deviations`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float, Float32, Integer

from soundloom.column_deviations import shared_deviations
from soundloom.library.storage.table_schema import embedding_matrix

if TYPE_CHECKING:
    from soundloom.library.storage.store import Store

__all__ = ["Standardisation"]

_MIN_ROWS = 20
"""With fewer rows than this the columns' deviations say nothing, and embeddings stay as they are."""
_SAMPLED, _BATCH = 2**17, 2**15
"""Rows of a large library from which deviations are computed, to half a percent, and how many are read at a time."""


@dataclass(frozen=True, eq=False)
class Standardisation:
    """How the embeddings of one library are made comparable.

    Attributes:
        mean: of every column.
        scale: inverse deviation of every column, 0 for a constant one.
        parts: part name -> its columns.
    """

    mean: Float[np.ndarray, " dim"]
    scale: Float[np.ndarray, " dim"]
    parts: Mapping[str, slice]

    @classmethod
    def of_store(
        cls,
        store: Store,
        parts: Mapping[str, slice],
        row_ids: Integer[np.ndarray, " rows"],
        centred: Collection[str],
        *,
        large: bool,
    ) -> Self:
        """Means and deviations of a library's rows, of some where it is large; 0 and 1 where there are too few.

        Args:
            store: the library's rows.
            parts: part name -> its columns.
            row_ids: of all rows, in a fixed order.
            centred: parts whose columns share one deviation.
            large: ten gigabytes need not be read for it.
        """
        dim = _dim(parts)
        if not large and len(row_ids) < _MIN_ROWS:
            return cls(np.zeros(dim), np.ones(dim), parts)
        mean, deviation = _of_sample(store, dim, row_ids) if large else _of_rows(store, dim, len(row_ids))
        return cls(mean, _inverse(mean, deviation, parts, centred), parts)

    @property
    def dim(self) -> int:
        """The size of an embedding."""
        return len(self.mean)

    @property
    def deviation(self) -> Float[np.ndarray, " dim"]:
        """Of every column; 0 for a constant one, which says nothing and is left out."""
        return np.asarray(np.divide(1.0, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0))

    def apply(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows dim"]:
        """Raw embeddings with columns centred and scaled and every part at unit length; a part of zeros stays zeros."""
        return self.apply_with_norms(embeddings)[0]

    def apply_with_norms(
        self, embeddings: Float[np.ndarray, "rows dim"]
    ) -> tuple[Float32[np.ndarray, "rows dim"], Float32[np.ndarray, "rows parts"]]:
        """As `apply`, and the length that every part had, by which `restore` gives the embeddings again."""
        # In double precision: a column may vary little about a large mean.
        standard = (embeddings - self.mean) * self.scale
        norms = np.zeros((len(standard), len(self.parts)), np.float32)
        for number, columns in enumerate(self.parts.values()):
            part = standard[:, columns]
            norm = np.linalg.norm(part, axis=1, keepdims=True)
            np.divide(part, norm, out=part, where=norm > 0)
            norms[:, number] = norm[:, 0]
        return np.asarray(standard, np.float32), norms

    def restore(
        self, vectors: Float32[np.ndarray, "rows dim"], norms: Float32[np.ndarray, "rows parts"]
    ) -> Float32[np.ndarray, "rows dim"]:
        """Raw embeddings from standardised ones, to the precision of these; a constant column is its mean.

        Args:
            vectors: standardised.
            norms: of their parts before they had unit length.
        """
        raw = vectors * self.deviation
        for number, columns in enumerate(self.parts.values()):
            raw[:, columns] *= norms[:, number : number + 1]
        return np.asarray(raw + self.mean, np.float32)


def _of_rows(store: Store, dim: int, count: int) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    """Mean and deviation of every column, in two passes."""
    mean, squares = np.zeros(dim), np.zeros(dim)
    for batch in store.scan(["embedding"]):
        mean += embedding_matrix(batch, dim).sum(axis=0, dtype=np.float64) / count
    for batch in store.scan(["embedding"]):
        squares += np.square(embedding_matrix(batch, dim) - mean).sum(axis=0) / count
    return mean, np.sqrt(squares)


def _of_sample(
    store: Store, dim: int, row_ids: Integer[np.ndarray, " rows"]
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    """The same of some rows."""
    some = np.sort(np.random.default_rng(0).choice(row_ids, min(len(row_ids), _SAMPLED), replace=False))
    read = (store.rows_by_id(some[first : first + _BATCH], ["embedding"]) for first in range(0, len(some), _BATCH))
    rows = np.concatenate([embedding_matrix(batch, dim) for table in read for batch in table.to_batches()])
    return rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)


def _dim(parts: Mapping[str, slice]) -> int:
    return int(max(columns.stop for columns in parts.values()))


def _inverse(
    mean: Float[np.ndarray, " dim"],
    deviation: Float[np.ndarray, " dim"],
    parts: Mapping[str, slice],
    centred: Collection[str],
) -> Float[np.ndarray, " dim"]:
    """The inverse deviation of every column, or of its whole part; 0 for a column that is constant."""
    # A column that is the same for every sound carries no information; dividing by its deviation would amplify noise.
    informative = deviation > 1e-5 * np.maximum(1e-3, np.abs(mean))
    deviation = shared_deviations(deviation, parts, centred)
    return np.asarray(np.divide(1.0, deviation, out=np.zeros(len(mean)), where=informative))
