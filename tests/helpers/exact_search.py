"""What a search index must find: the rows of its store that are the most similar, each of them compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from soundloom.library.search.search_index import SearchIndex
from soundloom.library.storage.store import Store

__all__ = ["finds_the_best_rows"]

K = 10


def finds_the_best_rows(
    index: SearchIndex,
    store: Store,
    queries: Iterable[np.ndarray],
    weightings: Iterable[tuple[Mapping[str, float], float]],
) -> None:
    """The index has the store's rows and their vectors, and searches find the best, by the scaling of the index.

    Args:
        index: of the store as it is.
        store: the rows.
        queries: raw embeddings.
        weightings: weights of the parts, and the recall that is expected with them, without a filter and with two.
    """
    table, queries = store.sorted_rows(["path", "tags", "embedding"]), list(queries)
    compared = index.standardisation.apply(np.stack(table["embedding"].to_numpy()))
    assert index.rows["path"].to_pylist() == table["path"].to_pylist()
    assert index.rows["tags"].to_pylist() == table["tags"].to_pylist()
    np.testing.assert_allclose(index.vectors, compared, atol=1e-3 if index.has_lists else 1e-6)
    masks = (None, np.arange(len(index)) % 3 > 0, np.arange(len(index)) % 50 == 7)
    for weights, recall in weightings:
        total, hits = sum(map(abs, weights.values())), 0
        for query in queries:
            standard = index.standardisation.apply(query[None])[0]
            weighted = np.concatenate([standard[some] * weights[name] / total for name, some in index.parts.items()])
            for mask in masks:
                products = compared @ weighted if mask is None else np.where(mask, compared @ weighted, -np.inf)
                found = index.search(query, K, weights, mask)
                assert len(set(found.rows.tolist())) == K
                assert mask is None or mask[found.rows].all()
                hits += int((products[found.rows] >= np.sort(products)[-K] - 1e-3).sum())
        assert hits >= recall * K * len(queries) * len(masks), f"{hits} found with {weights}"
