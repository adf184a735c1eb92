"""Deviations by which a search divides the columns of embeddings: one a column, or one for a whole part.

Columns of a log-mel or of any network vary as they happen to, and each is divided by its own deviation. Principal
components say by theirs how much they are worth, and noise in the last of them would count as much as the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from jaxtyping import Float

__all__ = ["shared_deviations"]


def shared_deviations(
    deviations: Float[np.ndarray, " dim"], parts: Mapping[str, slice], centred: Collection[str]
) -> Float[np.ndarray, " dim"]:
    """Deviations of columns by which a search divides: those of a centred part are all their root mean square.

    Args:
        deviations: of every column.
        parts: part name -> its columns.
        centred: as `soundloom.embedding_model.EmbeddingModel.centred`.
    """
    shared = deviations.copy()
    for name in centred:
        shared[parts[name]] = np.sqrt(np.mean(np.square(deviations[parts[name]])))
    return shared
