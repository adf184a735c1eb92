"""Cluster labels: tags, else a folder, else words of file names, else words of the model, that set a cluster apart.

A tag is scored by p(t | cluster) log p(t | cluster) / p(t), its share of the Kullback-Leibler divergence between
cluster and library: it is common in the cluster and rarer elsewhere. Words of file names are scored likewise; a folder
holds at least half of its cluster. What would name several clusters alike names one only where nothing else does.

When not: as tags of the sounds; a label describes most of a cluster, hardly ever all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from soundloom.library.search.terms.query_words import words_of
from soundloom.library.storage.table_schema import whole_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["cluster_labels"]

_MIN_SHARE, _MIN_FOLDER_SHARE, _MIN_NAME_SHARE = 0.2, 0.5, 0.25
"""The share of a cluster that must have a tag, lie in a folder, or have a word in its names, for it to be the label."""
_MOST_WORDS = 2
_MIN_LETTERS = 3

_MIN_LIFT = 1.25
"""How many times as common it must be in the cluster as in the whole library."""


def cluster_labels(
    rows: pa.Table, clusters: Int[np.ndarray, " rows"], words: Sequence[Sequence[str]] = ()
) -> tuple[str, ...]:
    """A name for every cluster, each name once; "unnamed" and a number where nothing sets a cluster apart.

    Args:
        rows: path and tags of the segments.
        clusters: each segment's cluster, numbered from 0.
        words: of the model, for every cluster, the most characteristic first; none where it knows none.
    """
    count = int(clusters.max(initial=-1)) + 1
    sizes = np.bincount(clusters, minlength=count)
    candidates = [
        _characteristic_words(*_tag_pairs(rows, clusters), sizes, _MIN_SHARE, most=_MOST_WORDS),
        _characteristic_words(*_folder_pairs(rows, clusters), sizes, _MIN_FOLDER_SHARE, most=1),
        _characteristic_words(*_name_pairs(rows, clusters), sizes, _MIN_NAME_SHARE, most=_MOST_WORDS),
        [[word.partition(",")[0] for word in some[:_MOST_WORDS]] for some in words or [()] * count],
    ]
    names = [", ".join(dict.fromkeys(chosen)) for chosen in _most_particular(candidates, count)]
    taken: Counter[str] = Counter()
    for cluster, name in enumerate(names):
        taken[name] += 1
        if not name:
            names[cluster] = f"unnamed {cluster + 1}"
        elif taken[name] > 1:
            names[cluster] = f"{name} ({taken[name]})"
    return tuple(names)


def _most_particular(candidates: Sequence[Sequence[Sequence[str]]], count: int) -> list[Sequence[str]]:
    """For each cluster the first candidate that no other cluster has; else the first that there is."""
    chosen: list[Sequence[str]] = []
    for cluster in range(count):
        there = [kind for kind in candidates if kind[cluster]]
        alone = [kind for kind in there if sum(list(other) == list(kind[cluster]) for other in kind) == 1]
        chosen.append(next(iter(alone or there), [()] * count)[cluster])
    return chosen


def _tag_pairs(rows: pa.Table, clusters: Int[np.ndarray, " rows"]) -> tuple[list[str], Int[np.ndarray, " pairs"]]:
    """Every tag of every row, and its row's cluster."""
    import pyarrow.compute as pc

    tags = whole_column(rows, "tags")
    return pc.list_flatten(tags).to_pylist(), clusters[pc.list_parent_indices(tags).to_numpy()]


def _folder_pairs(rows: pa.Table, clusters: Int[np.ndarray, " rows"]) -> tuple[list[str], Int[np.ndarray, " pairs"]]:
    import pyarrow.compute as pc

    # Paths are looked at once each: a file of many segments is one path.
    paths = pc.dictionary_encode(rows["path"]).combine_chunks()
    names = [PurePath(path).parent.name for path in paths.dictionary.to_pylist()]
    return [names[place] for place in paths.indices.to_pylist()], clusters


def _name_pairs(rows: pa.Table, clusters: Int[np.ndarray, " rows"]) -> tuple[list[str], Int[np.ndarray, " pairs"]]:
    """Every word of the name of every row's file, each once, and its row's cluster; no numbers and no codes."""
    import pyarrow.compute as pc

    paths = pc.dictionary_encode(rows["path"]).combine_chunks()
    of_path = [
        sorted({word for word in words_of(PurePath(path).stem) if word.isalpha() and len(word) >= _MIN_LETTERS})
        for path in paths.dictionary.to_pylist()
    ]
    places = paths.indices.to_pylist()
    counts = np.fromiter((len(of_path[place]) for place in places), np.int64, len(places))
    return [word for place in places for word in of_path[place]], np.repeat(clusters, counts)


def _characteristic_words(
    words: list[str], of: Int[np.ndarray, " pairs"], sizes: Int[np.ndarray, " clusters"], share: float, *, most: int
) -> list[list[str]]:
    """The words that characterise each cluster and that this share of it has at least, the best score first."""
    typical: list[list[str]] = [[] for _ in sizes]
    if not words:
        return typical
    order = sorted(set(words))
    number_of = {word: number for number, word in enumerate(order)}
    numbers = np.fromiter((number_of[word] for word in words), np.int64, len(words))
    counts = np.zeros((len(order), len(sizes)))
    np.add.at(counts, (numbers, of), 1)
    inside = counts / np.maximum(sizes, 1)
    everywhere = counts.sum(axis=1, keepdims=True) / sizes.sum()
    characteristic = inside > _MIN_LIFT * everywhere
    scores = np.zeros_like(inside)
    np.log(inside / everywhere, out=scores, where=characteristic)
    scores *= inside
    for cluster, chosen in enumerate(typical):
        best = np.argsort(-scores[:, cluster], kind="stable")[:most]
        chosen.extend(order[word] for word in best if scores[word, cluster] > 0 and inside[word, cluster] >= share)
    return typical
