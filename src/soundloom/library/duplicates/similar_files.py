"""Near duplicates by embedding: files whose segments all have a nearly equal one in the other file.

Fingerprints find copies of one recording. Embeddings also find other takes and other microphones, as far as the model
takes them for the same; nothing is decoded. Choose the limit by looking: it depends on the model.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from soundloom.library.search.vector_index.pairwise import pairs_above
from soundloom.library.storage.table_schema import whole_column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundloom.library.search.search_index import SearchIndex

__all__ = ["similar_files"]


def similar_files(
    index: SearchIndex, weights: Mapping[str, float], limit: float, coverage: float
) -> dict[tuple[str, str], float]:
    """Pairs of files that are nearly equal by their embeddings, with the mean similarity of what corresponds.

    Args:
        index: of the library.
        weights: part name -> weight, for every part.
        limit: the least similarity of corresponding segments.
        coverage: least share of the longer file's segments that must have one in the other.
    """
    paths = whole_column(index.rows, "path").dictionary_encode()
    file_of_row, names = paths.indices.to_numpy(), paths.dictionary.to_pylist()
    segments = np.bincount(file_of_row, minlength=len(names))
    best: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)
    for rows, others, similarities in pairs_above(index.vectors, index.parts, weights, limit):
        pairs = zip(file_of_row[rows].tolist(), file_of_row[others].tolist(), rows.tolist(), similarities, strict=True)
        for file, other, row, similarity in pairs:
            if file != other:
                known = best[file, other]
                known[row] = max(known.get(row, -1.0), float(similarity))
    found: dict[tuple[str, str], float] = {}
    for (file, other), matched in sorted(best.items()):
        longer = (segments[file], -file) >= (segments[other], -other)
        if longer and len(matched) >= coverage * segments[file]:
            found[names[file], names[other]] = sum(matched.values()) / len(matched)
    return found
