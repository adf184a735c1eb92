"""Cluster labels: the tags most characteristic of a cluster, else the folder that holds at least half of it.

A tag is scored by p(t | cluster) log p(t | cluster) / p(t), its share of the Kullback-Leibler divergence between
cluster and library: it is common in the cluster and rarer elsewhere.

When not: as tags of the sounds; a label describes most of a cluster, hardly ever all of it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["cluster_labels"]

_MIN_SHARE, _MIN_FOLDER_SHARE = 0.2, 0.5
"""The share of a cluster that must have a tag, or lie in a folder, for it to be the label."""

_MIN_LIFT = 1.25
"""How many times as common it must be in the cluster as in the whole library."""


def cluster_labels(rows: pa.Table, clusters: Int[np.ndarray, " rows"]) -> tuple[str, ...]:
    """A name for every cluster, each name once.

    Args:
        rows: path and tags of the segments.
        clusters: each segment's cluster, numbered from 0.
    """
    count = int(clusters.max(initial=-1)) + 1
    sizes = np.bincount(clusters, minlength=count)
    tags = _characteristic_words(*_tag_pairs(rows, clusters), sizes, _MIN_SHARE, most=2)
    folders = _characteristic_words(*_folder_pairs(rows, clusters), sizes, _MIN_FOLDER_SHARE, most=1)
    taken: Counter[str] = Counter()
    names = []
    for cluster in range(count):
        name = ", ".join(tags[cluster] or folders[cluster]) or f"cluster {cluster + 1}"
        taken[name] += 1
        names.append(name if taken[name] == 1 else f"{name} ({taken[name]})")
    return tuple(names)


def _tag_pairs(rows: pa.Table, clusters: Int[np.ndarray, " rows"]) -> tuple[list[str], Int[np.ndarray, " pairs"]]:
    """Every tag of every row, and its row's cluster."""
    import pyarrow.compute as pc

    tags = rows["tags"].combine_chunks()
    return pc.list_flatten(tags).to_pylist(), clusters[pc.list_parent_indices(tags).to_numpy()]


def _folder_pairs(rows: pa.Table, clusters: Int[np.ndarray, " rows"]) -> tuple[list[str], Int[np.ndarray, " pairs"]]:
    import pyarrow.compute as pc

    # Paths are looked at once each: a file of many segments is one path.
    paths = pc.dictionary_encode(rows["path"]).combine_chunks()
    names = [PurePath(path).parent.name for path in paths.dictionary.to_pylist()]
    return [names[place] for place in paths.indices.to_pylist()], clusters


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
