"""Table of the clusters of a library: their sizes, names, words of the model, and the file nearest their middle.

Clusters are those of the map: k-means of the principal components of the vectors that searches compare. Names are those
of `cluster_labels`; words are those of the model that describe a cluster's sounds better than the library's, by
p log(p / q) with the mean probabilities p in the cluster and q in the library.

When not: as classes; clusters have no truth, and their number is a rule of thumb.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from soundloom.library.map.cluster_labels import cluster_labels
from soundloom.library.storage.table_schema import whole_column

if TYPE_CHECKING:
    from soundloom.library.search.search_index import SearchIndex

__all__ = ["Cluster", "WordScores", "describe_clusters", "name_clusters"]

WordScores = Callable[[Float[np.ndarray, "sounds dim"]], tuple[tuple[str, ...], Float[np.ndarray, "sounds words"]]]
"""The words of a model, and how probable each is for some embeddings; no words where it knows none."""

_SAMPLED = 32
"""Segments of each cluster whose words are looked at."""
_WORDS = 3
_LEAST = 0.02
"""A word that is less probable in the mean of a cluster says nothing of it."""


@dataclass(frozen=True)
class Cluster:
    """A cluster of a library's segments.

    Attributes:
        number: of the cluster, from 0.
        name: what sets it apart: tags, a folder, words of file names or of the model; else "unnamed".
        segments: how many there are in it.
        files: of how many files.
        words: of the model, the most characteristic first; none if it knows none.
        example: the file nearest to its middle.
        start: where the segment of that file begins, in seconds.
    """

    number: int
    name: str
    segments: int
    files: int
    words: tuple[str, ...]
    example: str
    start: float


def describe_clusters(
    index: SearchIndex, clusters: Int[np.ndarray, " rows"], scale: Float[np.ndarray, " dim"], scores: WordScores
) -> list[Cluster]:
    """The clusters of a library, the largest first.

    Args:
        index: of the library.
        clusters: the number of every row's cluster, from 0.
        scale: of every column, as the map weights it.
        scores: the model's words for embeddings.
    """
    members = _members(clusters)
    words = _words(index, members, scores)
    names = cluster_labels(index.rows, clusters, words)
    paths = whole_column(index.rows, "path").dictionary_encode()
    file_of_row, starts = paths.indices.to_numpy(), index.rows["start"].to_numpy()
    middles = [_middle(index, rows, scale) for rows in members]
    described = [
        Cluster(
            number,
            names[number],
            len(rows),
            len(np.unique(file_of_row[rows])),
            words[number],
            paths.dictionary[int(file_of_row[middle])].as_py(),
            float(starts[middle]),
        )
        for number, (rows, middle) in enumerate(zip(members, middles, strict=True))
        if len(rows)
    ]
    return sorted(described, key=lambda cluster: (-cluster.segments, cluster.number))


def name_clusters(index: SearchIndex, clusters: Int[np.ndarray, " rows"], scores: WordScores) -> tuple[str, ...]:
    """The names of the clusters, by their numbers; the arguments are those of `describe_clusters`."""
    return cluster_labels(index.rows, clusters, _words(index, _members(clusters), scores))


def _members(clusters: Int[np.ndarray, " rows"]) -> list[Int[np.ndarray, " _n"]]:
    return [np.flatnonzero(clusters == number) for number in range(int(clusters.max(initial=-1)) + 1)]


def _middle(index: SearchIndex, rows: Int[np.ndarray, " n"], scale: Float[np.ndarray, " dim"]) -> int:
    """The row of a cluster that is nearest to its mean."""
    if not len(rows):
        return 0
    vectors = index.vectors[rows] * scale.astype(np.float32)
    return int(rows[np.argmin(np.square(vectors - vectors.mean(axis=0)).sum(axis=1))])


def _words(index: SearchIndex, members: list[Int[np.ndarray, " _n"]], scores: WordScores) -> list[tuple[str, ...]]:
    """The most characteristic words of each cluster."""
    vocabulary, everywhere = scores(index.sample) if members else ([], index.sample)
    if not vocabulary:
        return [()] * len(members)
    sampled = [rows[np.linspace(0, len(rows) - 1, min(_SAMPLED, len(rows))).astype(int)] for rows in members]
    segments = [index.segments.at(rows) for rows in sampled]
    known = index.restored_embeddings([segment for some in segments for segment in some])
    usual = everywhere.mean(axis=0)
    chosen: list[tuple[str, ...]] = []
    for some in segments:
        stacked = [known[segment.path, segment.start] for segment in some if (segment.path, segment.start) in known]
        if not stacked:
            chosen.append(())
            continue
        inside = scores(np.stack(stacked))[1].mean(axis=0)
        gain = inside * np.log(np.maximum(inside, 1e-9) / np.maximum(usual, 1e-9))
        best = [place for place in np.argsort(-gain, kind="stable")[: _WORDS + 1] if gain[place] > 0]
        words = [vocabulary[place] for place in best if inside[place] >= _LEAST]
        # Clips are filled up with silence; that describes what holds nothing else.
        sounding = [word for word in words if word != "Silence"]
        chosen.append(tuple((sounding or words)[:_WORDS]))
    return chosen
