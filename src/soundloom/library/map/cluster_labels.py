"""What to call a group of sounds: by the tags that set it apart, else by the folder that most of it lies in.

A tag speaks for a group if it is common in it and rarer elsewhere: the share p(t | group) of the group that has it
times log p(t | group) / p(t), its part of the divergence between group and library.

When not: as tags of the sounds; a name says what most of a group is, and is true of few groups wholly.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["cluster_names"]

_SPEAKS = 0.2
"""The share of a group that must have a tag, or lie in a folder, for it to speak for the group."""

_RARER = 1.25
"""How many times as common it must be there as in the whole library."""


def cluster_names(rows: pa.Table, clusters: Int[np.ndarray, " rows"]) -> tuple[str, ...]:
    """A name for every cluster, each name once.

    Args:
        rows: path and tags of the segments.
        clusters: each segment's cluster, numbered from 0.
    """
    count = int(clusters.max(initial=-1)) + 1
    sizes = np.bincount(clusters, minlength=count)
    tags = _typical(*_tag_pairs(rows, clusters), sizes, most=2)
    folders = _typical(*_folder_pairs(rows, clusters), sizes, most=1)
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


def _typical(
    words: list[str], of: Int[np.ndarray, " pairs"], sizes: Int[np.ndarray, " clusters"], *, most: int
) -> list[list[str]]:
    """The words that speak for each cluster, the most telling first."""
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
    rarer_elsewhere = inside > _RARER * everywhere
    telling = np.zeros_like(inside)
    np.log(inside / everywhere, out=telling, where=rarer_elsewhere)
    telling *= inside
    for cluster, chosen in enumerate(typical):
        best = np.argsort(-telling[:, cluster], kind="stable")[:most]
        chosen.extend(order[word] for word in best if telling[word, cluster] > 0 and inside[word, cluster] >= _SPEAKS)
    return typical
