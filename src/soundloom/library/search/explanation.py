"""Explanation of a hit: for each part, the percentile of its cosine among a sample of the library.

Cosines of different parts do not compare: two random sounds may agree by 0.6 in one part and by 0.0 in another. So
each is given as a percentile, the share of the library's other sounds that are less similar to the query by that part;
0.5 is average, 0.99 is one in a hundred. It is estimated from a sample of at most about a thousand rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from soundloom.library.search.matches import Match
from soundloom.library.segments import Hit

__all__ = ["Explanation", "explain"]

REASON_PERCENTILE = 0.8
"""Percentile from which on a part counts as a reason."""


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
        Explanation(
            percentiles={
                name: float(np.searchsorted(ordered[name], np.float32(cosine))) / max(1, len(ordered[name]) - 1)
                for name, cosine in hit.parts.items()
            }
        )
        for hit in hits
    ]
