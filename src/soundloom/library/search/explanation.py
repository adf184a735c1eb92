"""Explanation of a hit: for each part, the percentile of its cosine among a sample of the library.

Cosines of different parts do not compare: two random sounds may agree by 0.6 in one part and by 0.0 in another. So
each is given as a percentile, the share of the library's other sounds that are less similar to the query by that part;
0.5 is average, 0.99 is one in a hundred. It is estimated from a sample of at most about a thousand rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from soundloom.library.segments import Hit

if TYPE_CHECKING:
    from soundloom.library.search.matches import Match

__all__ = ["Explanation", "explain", "share_below"]

REASON_PERCENTILE = 0.8
"""Percentile from which on a part counts as a reason."""

_ROUNDING = 1e-4
"""By how much two computations of one similarity may differ: rows are stored in half precision."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a hit was found.

    Attributes:
        percentiles: part -> share of the library's other sounds that are less similar to the query by it, in [0, 1].
    """

    percentiles: dict[str, float]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The parts by which the hit is unusually similar, the most unusual first."""
        ordered = sorted(self.percentiles, key=lambda part: -self.percentiles[part])
        return tuple(part for part in ordered if self.percentiles[part] >= REASON_PERCENTILE)

    def weighed(self, weights: Mapping[str, float]) -> Explanation:
        """The same of a search that weighed the parts, 1 where not named.

        A part of weight 0 found nothing, and is left out. One below 0 found what is unlike: "unlike in PART" is the
        share of sounds that are more similar by it.
        """
        counted = {part: share for part, share in self.percentiles.items() if weights.get(part, 1.0) > 0}
        opposed = {part: share for part, share in self.percentiles.items() if weights.get(part, 1.0) < 0}
        return Explanation(percentiles=counted | {f"unlike in {part}": 1 - share for part, share in opposed.items()})


def explain(
    similarities: Mapping[str, Float[np.ndarray, " sampled"]], hits: Sequence[Hit | Match]
) -> list[Explanation]:
    """The percentiles of the hits of a query.

    Args:
        similarities: part -> the query's cosines to a sample of the library.
        hits: the result of that query.
    """
    ordered = {name: np.sort(values) for name, values in similarities.items()}
    return [
        Explanation(percentiles={name: float(share_below(ordered[name], cosine)) for name, cosine in hit.parts.items()})
        for hit in hits
    ]


def share_below(ordered: Float[np.ndarray, " sampled"], values: ArrayLike) -> NDArray[np.float64]:
    """The share of the sampled rows that are less similar than some hits are.

    Args:
        ordered: similarities of the sampled rows, ascending.
        values: those of the hits.
    """
    # A hit may be one of the sampled rows, whose similarity was computed apart: it is not below itself.
    below = np.searchsorted(ordered, np.asarray(values, np.float64) - _ROUNDING)
    return np.asarray(below / max(1, len(ordered) - 1), np.float64)
