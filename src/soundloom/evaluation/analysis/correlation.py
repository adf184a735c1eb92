"""Canonical correlation of embeddings with acoustic features (Favory 2020, 3.3), by SVD (Björck and Golub 1973).

For each acoustic feature (MFCC, chroma, spectral centroid, spectral bandwidth, by librosa) and each of
its statistics over time (mean, variance, skewness), the mean canonical correlation between the
embeddings and the statistic, over the clips: with X and Y centred, orthonormal bases U_x, U_y of their
column spaces, the canonical correlations are the singular values of U_x' U_y (Björck and Golub 1973),
and the similarity is the mean of the first min(rank X, rank Y) (Raghu 2017, without its first step of
dropping weak directions, which the paper does not mention).

Bases come from an SVD in float64 after scaling each column to unit length, so that no covariance is
squared or inverted; directions below the rounding of the largest are not directions. No ridge.

When not: with few clips. Once rank X + rank Y exceeds clips - 1 some correlations are 1 whatever the
data; that is refused, and well below it correlations are still too high. Needs the extra ``eval``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from soundloom.embedder import Embedder
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import validation
from soundloom.evaluation.extraction import (
    FeatureExtractor,
    Features,
    acoustic_extractor,
    clip_extractor,
    named_statistics,
)
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.scores import Details, Score, summarise

__all__ = ["CorrelationDetails", "canonical_correlations", "correlation_analysis", "validate"]


@dataclass(frozen=True, kw_only=True)
class CorrelationDetails(Details):
    """Details of the correlation analysis.

    Attributes:
        table: feature -> statistic -> mean canonical correlation.
    """

    table: Mapping[str, Mapping[str, float]]


def validate(embeddings: np.ndarray, features: np.ndarray) -> None:
    """Refuse matrices of which canonical correlations say nothing.

    Raises:
        InvalidArgumentError: not matrices of finite numbers over the same clips.
    """
    validation.check_embeddings(embeddings)
    validation.check_embeddings(features)
    if len(embeddings) != len(features):
        raise InvalidArgumentError(f"embeddings are of {len(embeddings)} clips, features of {len(features)}")


def canonical_correlations(
    left: Float[np.ndarray, "clips dim"], right: Float[np.ndarray, "clips _features"]
) -> Float[np.ndarray, " correlations"]:
    """Canonical correlations of two sets of variables over the same clips, falling, within [0, 1].

    Raises:
        InvalidArgumentError: what `validate` refuses, a side without variation, or too few clips for the ranks.
    """
    validate(left, right)
    bases = [column_space(side) for side in (left, right)]
    ranks = [basis.shape[1] for basis in bases]
    if 0 in ranks:
        raise InvalidArgumentError(
            "embeddings or features are the same for all clips: nothing varies, nothing correlates"
        )
    if sum(ranks) > len(left) - 1:
        raise InvalidArgumentError(
            f"{len(left)} clips are too few for ranks {ranks[0]} and {ranks[1]}: above {len(left) - 1} in sum, some "
            "correlations are 1 whatever the data; use more clips, several times the sum"
        )
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return np.minimum(correlations, 1.0)


def column_space(matrix: Float[np.ndarray, "clips dim"]) -> Float[np.ndarray, "clips rank"]:
    """Orthonormal basis of the centred columns, in float64."""
    centred = matrix.astype(np.float64)
    centred -= centred.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    # A column that only rounds away from its mean is constant, in the precision it came in.
    rounding = np.finfo(matrix.dtype).eps * np.abs(matrix).max(axis=0) * np.sqrt(len(matrix))
    varying = lengths > rounding
    left, values, _ = np.linalg.svd(centred[:, varying] / lengths[varying], full_matrices=False)
    tolerance = max(matrix.shape) * np.finfo(matrix.dtype).eps
    basis: Float[np.ndarray, "clips rank"] = left[:, values > tolerance * values.max(initial=0.0)]
    return basis


def correlation_analysis(
    embeddings: Float[np.ndarray, "clips dim"],
    statistics: Mapping[str, Mapping[str, Float[np.ndarray, "clips _bins"]]],
    *,
    seed: int = 0,
) -> Score:
    """Mean canonical correlation with each statistic of each feature; the score is the mean of the table.

    Details: `CorrelationDetails`.

    Args:
        embeddings: ``[clips, dim]``.
        statistics: as `acoustic_statistics` gives them, of the same clips.
        seed: only noted; nothing is drawn.

    Raises:
        InvalidArgumentError: what `canonical_correlations` refuses, or no statistics.
    """
    table = {
        name: {key: float(canonical_correlations(embeddings, values).mean()) for key, values in by.items()}
        for name, by in statistics.items()
    }
    cells = [value for by in table.values() for value in by.values()]
    if not cells:
        raise InvalidArgumentError("no acoustic statistics given: take them from acoustic_statistics")
    return summarise(
        "correlation",
        "canonical correlation",
        [float(np.mean(cells))],
        seed=seed,
        details=CorrelationDetails(table=table),
    )


@dataclass(frozen=True, kw_only=True)
class CorrelationProtocol(Protocol):
    """The correlation analysis, over the clips that have both embeddings and acoustic features."""

    @property
    def clipwise(self) -> bool:
        """False: acoustic features are taken beside the embeddings."""
        return False

    def extractors(self, model: Embedder) -> tuple[FeatureExtractor, ...]:
        """The model on whole clips, and librosa's acoustic features."""
        return clip_extractor(model), acoustic_extractor()

    def score(
        self,
        features: Sequence[Features],
        parts: Mapping[str, slice],  # noqa: ARG002
        *,
        settings: Any,  # noqa: ARG002
        seed: int,
    ) -> Score:
        """See `Protocol.score`; there are no settings."""
        own, acoustics = features
        _, mine, theirs = np.intersect1d(own.positions, acoustics.positions, return_indices=True)
        return correlation_analysis(own.vectors[mine], named_statistics(acoustics.vectors[theirs]), seed=seed)


PROTOCOLS.register(
    "correlation",
    CorrelationProtocol(
        function=correlation_analysis,
        settings=None,
        details=CorrelationDetails,
        paper="Favory 2020, 3.3",
        each="",
        splits=False,
    ),
    definition=correlation_analysis,
)
