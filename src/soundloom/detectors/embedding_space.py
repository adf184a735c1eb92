"""Embedding space of a detector: standardised parts, decorrelated by the statistics of unlabelled sounds.

Columns are centred and scaled and parts brought to unit length, as in a search. Where the model has a background
(`soundloom.detectors.background`), directions are divided by how much sounds of one kind differ in them. The principal
components of unlabelled sounds are then divided by a power of their shrunk variances (in part a whitening), and vectors
brought to unit length. What varies in all recordings, such as distance and noise, then counts less than what varies in
few. The embedding itself, of unit length, follows in further columns, for the plain mean of examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from soundloom.detectors.background import Background, standardised, unit_length
from soundloom.one_thread import one_thread

__all__ = ["FEWEST", "EmbeddingSpace"]

FEWEST = 200
"""Unlabelled embeddings below which their statistics are not used where there is no background either: embeddings are
then only brought to unit length."""

_COMPONENTS = 128
_SHRINKAGE = 0.2
_POWER, _POWER_WITHIN = 0.5, 0.7
"""How far variances are evened out: without a background, and after the division by those within kinds."""

_SMALLEST = 1e-9
_PRIOR = 100
"""Unlabelled sounds as many as which the background counts in mean and covariance."""


@dataclass(frozen=True, eq=False)
class EmbeddingSpace:
    """A map from embeddings to vectors: decorrelated columns, and the plain embedding.

    Attributes:
        mean: subtracted from every column.
        scale: by which columns are divided.
        gains: by which columns are multiplied once their part has unit length.
        parts: first and last column of every part.
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
        background: Background | None = None,
    ) -> EmbeddingSpace:
        """The space of unlabelled sounds.

        Args:
            unlabelled: embeddings of sounds such as the detector will meet.
            parts: part name -> its columns.
            balance: part name -> how much it counts; 1 for those not named.
            background: of the model.
        """
        rows, dim = unlabelled.shape
        columns = tuple((part.start, part.stop) for part in parts.values())
        gains = np.ones(dim)
        for name, part in parts.items():
            gains[part] = np.sqrt(balance.get(name, 1.0))
        values = unlabelled.astype(np.float64)
        if background is not None:
            mean, scale = background.mean, background.scale
            plain = cls(mean, scale, gains, columns, np.zeros(dim), None)
            prior = plain._standardised(background.sounds.astype(np.float64))
            directions = background.whitening(_SHRINKAGE)
            centre, covariance = _moments(plain._standardised(values), prior, directions)
            directions = directions @ _evened(covariance, dim, _POWER_WITHIN)
            return cls(mean, scale, gains, columns, centre, np.ascontiguousarray(directions))
        if rows < FEWEST:
            zeros, ones = np.zeros(dim), np.ones(dim)
            return cls(zeros, ones, gains, ((0, dim),), zeros, None)
        mean, scale = values.mean(axis=0), values.std(axis=0) + _SMALLEST
        plain = cls(mean, scale, gains, columns, np.zeros(dim), None)
        centre, covariance = _moments(plain._standardised(values), np.zeros((0, dim)), np.eye(dim))
        return cls(mean, scale, gains, columns, centre, _evened(covariance, min(rows - 1, dim), _POWER))

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
        return np.concatenate([unit_length(projected), unit_length(values)], axis=1)

    def _standardised(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
        parts = {str(first): slice(first, last) for first, last in self.parts}
        return np.asarray(standardised(embeddings, self.mean, self.scale, parts, {}) * self.gains)


def _moments(
    vectors: Float[np.ndarray, "rows dim"],
    prior: Float[np.ndarray, "sounds dim"],
    directions: Float[np.ndarray, "dim dim"],
) -> tuple[Float[np.ndarray, " dim"], Float[np.ndarray, "dim dim"]]:
    """Mean, and covariance along the directions; those of the prior count as `_PRIOR` rows."""
    rows, weight = len(vectors), _PRIOR if len(prior) else 0
    means = [each.mean(axis=0) if len(each) else np.zeros(vectors.shape[1]) for each in (vectors, prior)]
    centre = (rows * means[0] + weight * means[1]) / (rows + weight)
    with one_thread:
        away, turned = ((torch.from_numpy(each - centre) @ torch.from_numpy(directions)) for each in (vectors, prior))
        covariance = (away.T @ away).numpy()
        found = (turned.T @ turned).numpy() / max(1, len(prior))
    # A few hundred sounds leave their covariance open: half of it is the same in every direction.
    found = 0.5 * (found + np.trace(found) / len(found) * np.eye(len(found)))
    return centre, (covariance + weight * found) / (rows + weight)


def _evened(covariance: Float[np.ndarray, "dim dim"], most: int, power: float) -> Float[np.ndarray, "dim rank"]:
    """Principal directions, divided by a power of their shrunk deviations; at most ``most`` of them."""
    with one_thread:
        variances, vectors = (found.numpy() for found in torch.linalg.eigh(torch.from_numpy(covariance)))
    rank = min(_COMPONENTS, most)
    variances, vectors = np.maximum(variances[::-1], 0), vectors[:, ::-1]
    shrunk = (1 - _SHRINKAGE) * variances + _SHRINKAGE * variances.mean()
    return np.ascontiguousarray(vectors[:, :rank] * shrunk[:rank] ** (-power / 2))
