"""Result of a search of the index, as rows with their similarities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["NearestRows"]


@dataclass(frozen=True)
class NearestRows:
    """The best rows of a search, best first.

    Attributes:
        rows: positions in the index.
        similarity: weighted mean of the parts' cosines, in [-1, 1].
        parts: part name -> that part's cosine.
    """

    rows: Int[np.ndarray, " k"]
    similarity: Float[np.ndarray, " k"]
    parts: dict[str, Float[np.ndarray, " k"]]
