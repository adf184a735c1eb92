"""Why a search found what it found: for every part, how unusual it is to be as alike as the hit is.

Cosines of different parts do not compare: two sounds at random may agree by 0.6 in one part and by 0.0 in another. So
each is told by its standing, the share of the library's other sounds that are less alike the query by that part; 0.5
is a sound like any, 0.99 one in a hundred. The library is asked by a sample of at most some thousand of its sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from soundloom.library.segments import Hit

if TYPE_CHECKING:
    from soundloom.library.search.index import SearchIndex

__all__ = ["Explanation", "explain"]

TELLING = 0.8
"""Standing from which on a part counts as a reason."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What speaks for a hit.

    Attributes:
        standings: part -> share of the library's other sounds that are less alike the query by it, in [0, 1].
    """

    standings: dict[str, float]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The parts by which the hit is unusually alike, the most unusual first; none if it is so by none."""
        ordered = sorted(self.standings, key=lambda part: -self.standings[part])
        return tuple(part for part in ordered if self.standings[part] >= TELLING)


def explain(index: SearchIndex, query: Float[np.ndarray, " dim"], hits: Sequence[Hit]) -> list[Explanation]:
    """The standings of hits of a query.

    Args:
        index: of the library.
        query: the embedding that was searched for, as the model gives it.
        hits: what was found.
    """
    cosines = index.cosines_of_sample(query.astype(np.float32))
    ordered = {name: np.sort(values) for name, values in cosines.items()}
    return [
        Explanation(
            standings={
                name: float(np.searchsorted(ordered[name], np.float32(cosine))) / max(1, len(ordered[name]) - 1)
                for name, cosine in hit.parts.items()
            }
        )
        for hit in hits
    ]
