"""Embedding space of a detector: standardised parts, decorrelated by the statistics of unlabelled sounds.

Columns are centred and scaled and parts brought to unit length, as in a search. The principal components of unlabelled
sounds are then divided by a root of their shrunk variances (half of a whitening), and vectors brought to unit length.
What varies in all recordings, such as distance and background, then counts less than what varies in few. The embedding
itself, of unit length, follows in further columns, for the plain mean of examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from soundloom.embedder.threads import one_thread

__all__ = ["FEWEST", "EmbeddingSpace"]

FEWEST = 200
"""Unlabelled embeddings below which their statistics are not used: embeddings are then only brought to unit length."""

_COMPONENTS = 128
_POWER = 0.5
_SHRINKAGE = 0.2
_SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class EmbeddingSpace:
    """A map from embeddings to vectors: decorrelated columns, and the plain embedding.

    Attributes:
        mean: subtracted from every column.
        scale: by which columns are divided.
        gains: by which columns are multiplied once their part has unit length.
        parts: the columns of every part.
        centre: subtracted from the standardised vectors.
        directions: what these are projected on, scaled.
    """

    mean: Float[np.ndarray, " dim"]
    scale: Float[np.ndarray, " dim"]
    gains: Float[np.ndarray, " dim"]
    parts: tuple[tuple[int, int], ...]
    centre: Float[np.ndarray, " dim"]
    directions: Float[np.ndarray, "dim rank"] | None

    @classmethod
    def fit(
        cls,
        unlabelled: Float[np.ndarray, "rows dim"],
        parts: Mapping[str, slice],
        balance: Mapping[str, float],
    ) -> EmbeddingSpace:
        """The space of a background.

        Args:
            unlabelled: embeddings of sounds such as the detector will meet.
            parts: part name -> its columns.
            balance: part name -> how much it counts; 1 for those not named.
        """
        rows, dim = unlabelled.shape
        columns = tuple((part.start, part.stop) for part in parts.values())
        gains = np.ones(dim)
        for name, part in parts.items():
            gains[part] = np.sqrt(balance.get(name, 1.0))
        if rows < FEWEST:
            zeros, ones = np.zeros(dim), np.ones(dim)
            return cls(zeros, ones, gains, ((0, dim),), zeros, None)
        values = unlabelled.astype(np.float64)
        mean, scale = values.mean(axis=0), values.std(axis=0) + _SMALLEST
        plain = cls(mean, scale, gains, columns, np.zeros(dim), None)
        standardised = plain._standardised(values)
        centre = standardised.mean(axis=0)
        with one_thread:
            covariance = torch.from_numpy(np.cov(standardised - centre, rowvar=False))
            variances, vectors = (found.numpy() for found in torch.linalg.eigh(covariance))
        rank = min(_COMPONENTS, rows - 1, dim)
        variances, vectors = np.maximum(variances[::-1], 0), vectors[:, ::-1]
        shrunk = (1 - _SHRINKAGE) * variances + _SHRINKAGE * variances.mean()
        directions = vectors[:, :rank] * shrunk[:rank] ** (-_POWER / 2)
        return cls(mean, scale, gains, columns, centre, np.ascontiguousarray(directions))

    @property
    def decorrelated(self) -> int:
        """How many columns are decorrelated; the plain embedding follows them."""
        return len(self.mean) if self.directions is None else self.directions.shape[1]

    def transform(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows columns"]:
        """Embeddings in this space; the decorrelated columns have unit length, and so have the plain ones."""
        values = embeddings.astype(np.float64)
        standardised = self._standardised(values) - self.centre
        # By einsum, whose sums do not depend on how many rows there are, as those of a matrix product do.
        projected = standardised if self.directions is None else np.einsum("ij,jk->ik", standardised, self.directions)
        return np.concatenate([_unit(projected), _unit(values)], axis=1)

    def _standardised(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
        values = (embeddings - self.mean) / self.scale
        for first, last in self.parts:
            values[:, first:last] = _unit(values[:, first:last])
        scaled: Float[np.ndarray, "rows dim"] = values * self.gains
        return scaled


def _unit(vectors: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, _SMALLEST))
