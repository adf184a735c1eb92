"""Column standardisation and per-part normalisation of embeddings, which makes them comparable by inner products.

Raw embeddings compare poorly: a log-mel mean is mostly the same large negative number for every sound, and its cosine
says little. Every column is therefore centred and scaled by the library's own mean and deviation, and every part is
brought to unit length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32, Integer

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.store import Store

__all__ = [
    "column_scaling",
    "embedding_matrix",
    "restored",
    "sampled_scaling",
    "standardised",
    "standardised_with_norms",
]

_MIN_ROWS = 20
"""With fewer rows than this the columns' deviations say nothing, and embeddings stay as they are."""
_SAMPLED, _BATCH = 2**17, 2**15
"""Rows of a large library from which deviations are computed, to half a percent, and how many are read at a time."""


def embedding_matrix(batch: pa.RecordBatch, dim: int) -> Float32[np.ndarray, "rows dim"]:
    """The embedding column of a batch of the store, without a copy."""
    return np.asarray(batch["embedding"].flatten().to_numpy(zero_copy_only=True)).reshape(-1, dim)


def column_scaling(store: Store, dim: int, count: int) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    """Mean and inverse deviation of every column, in two passes; 0 and 1 where there are too few rows.

    Args:
        store: the library's rows.
        dim: size of an embedding.
        count: number of rows.
    """
    if count < _MIN_ROWS:
        return np.zeros(dim), np.ones(dim)
    mean, deviations = np.zeros(dim), np.zeros(dim)
    for batch in store.scan(["embedding"]):
        mean += embedding_matrix(batch, dim).sum(axis=0, dtype=np.float64) / count
    for batch in store.scan(["embedding"]):
        deviations += np.square(embedding_matrix(batch, dim) - mean).sum(axis=0) / count
    return _inverse(mean, np.sqrt(deviations))


def sampled_scaling(
    store: Store, row_ids: Integer[np.ndarray, " rows"], dim: int
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    """The same from some rows of a large library, ten gigabytes of which need not be read for it.

    Args:
        store: the library's rows.
        row_ids: of all rows, in a fixed order.
        dim: size of an embedding.
    """
    some = np.sort(np.random.default_rng(0).choice(row_ids, min(len(row_ids), _SAMPLED), replace=False))
    read = (store.rows_by_id(some[first : first + _BATCH], ["embedding"]) for first in range(0, len(some), _BATCH))
    rows = np.concatenate([embedding_matrix(batch, dim) for table in read for batch in table.to_batches()])
    return _inverse(rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64))


def _inverse(
    mean: Float[np.ndarray, " dim"], deviations: Float[np.ndarray, " dim"]
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, " dim"]]:
    """The mean and the inverse deviation of every column, 0 for one that is constant."""
    # A column that is the same for every sound carries no information; dividing by its deviation would amplify noise.
    informative = deviations > 1e-5 * np.maximum(1e-3, np.abs(mean))
    return mean, np.divide(1.0, deviations, out=np.zeros(len(mean)), where=informative)


def standardised(
    embeddings: Float[np.ndarray, "rows dim"],
    mean: Float[np.ndarray, " dim"],
    scale: Float[np.ndarray, " dim"],
    parts: Mapping[str, slice],
) -> Float32[np.ndarray, "rows dim"]:
    """Embeddings with columns centred and scaled and every part at unit length; a part of zeros stays zeros.

    Args:
        embeddings: raw, as the model gives them.
        mean: of every column.
        scale: inverse deviation of every column, 0 for a constant one.
        parts: part name -> its columns.
    """
    return standardised_with_norms(embeddings, mean, scale, parts)[0]


def standardised_with_norms(
    embeddings: Float[np.ndarray, "rows dim"],
    mean: Float[np.ndarray, " dim"],
    scale: Float[np.ndarray, " dim"],
    parts: Mapping[str, slice],
) -> tuple[Float32[np.ndarray, "rows dim"], Float32[np.ndarray, "rows parts"]]:
    """As `standardised`, and the length that every part had, by which `restored` has the embeddings again."""
    # In double precision: a column may vary little about a large mean.
    standard = (embeddings - mean) * scale
    norms = np.zeros((len(standard), len(parts)), np.float32)
    for number, columns in enumerate(parts.values()):
        part = standard[:, columns]
        norm = np.linalg.norm(part, axis=1, keepdims=True)
        np.divide(part, norm, out=part, where=norm > 0)
        norms[:, number] = norm[:, 0]
    return np.asarray(standard, np.float32), norms


def restored(
    vectors: Float32[np.ndarray, "rows dim"],
    norms: Float32[np.ndarray, "rows parts"],
    mean: Float[np.ndarray, " dim"],
    scale: Float[np.ndarray, " dim"],
    parts: Mapping[str, slice],
) -> Float32[np.ndarray, "rows dim"]:
    """Raw embeddings from standardised ones, to the precision of these; a constant column is its mean.

    Args:
        vectors: standardised.
        norms: of their parts before they had unit length.
        mean: of every column.
        scale: inverse deviation of every column, 0 for a constant one.
        parts: part name -> its columns.
    """
    deviation = np.divide(1.0, scale, out=np.zeros(len(scale)), where=scale > 0)
    raw = vectors * deviation
    for number, columns in enumerate(parts.values()):
        raw[:, columns] *= norms[:, number : number + 1]
    return np.asarray(raw + mean, np.float32)
