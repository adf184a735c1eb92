"""How alike every row is to a query by each part, kept for the queries asked last.

A search that is steered asks for the same sound again and again with other weights, and the similarity of a row is
the weighted mean of its parts' cosines: once these are known, a hundred thousand rows are weighed anew in a fraction of
the time that comparing them takes. The first search of a sound goes the same way, so that what is found does not depend
on what was asked before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

import numpy as np
from jaxtyping import Float

__all__ = ["Cosines"]

_BYTES = 64 * 2**20
"""What is kept, at most; one query's cosines are kept whatever their size."""


class Cosines:
    """The cosines of the rows to the queries asked last. Safe to share between threads.

    Args:
        vectors: comparable embeddings, every part of unit length.
        parts: part name -> its columns.
    """

    def __init__(self, vectors: Float[np.ndarray, "rows dim"], parts: Mapping[str, slice]) -> None:
        self._vectors = vectors
        self._parts = parts
        self._most = max(1, _BYTES // max(1, 4 * len(vectors) * len(parts)))
        self._known: OrderedDict[bytes, Float[np.ndarray, "parts rows"]] = OrderedDict()
        self._lock = Lock()

    def weighed(self, query: Float[np.ndarray, " dim"], weights: Mapping[str, float]) -> Float[np.ndarray, " rows"]:
        """Every row's weighted sum of cosines.

        Args:
            query: comparable, as the rows are.
            weights: part name -> weight, for every part.
        """
        every = np.array([weights[name] for name in self._parts], np.float32)
        return np.asarray(every @ self._of(query))

    def _of(self, query: Float[np.ndarray, " dim"]) -> Float[np.ndarray, "parts rows"]:
        key = query.tobytes()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        cosines = np.stack([self._vectors[:, columns] @ query[columns] for columns in self._parts.values()])
        with self._lock:
            self._known[key] = cosines
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return cosines
