"""Two-dimensional map of a library: UMAP of the vectors that searches compare, kept in the library's folder.

What is near on the map is near in a search. With weights the columns of a part p are scaled by sqrt(w_p / sum w): the
inner product of two scaled vectors is then sum_p w_p cos_p / sum w, the similarity by which a search with these weights
ranks.

A map is kept for each set of weights, in ``map/``, with the numbers of the segments that it shows and a checksum. When
the library has changed since, deleted segments are left out and new ones are interpolated from their nearest
neighbours, so that all others stay at their points. The map is then stale, and is computed anew on request, or by
itself when more than half of the segments are new. A damaged map is computed anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from jaxtyping import Bool, Float, Float32, Int, UInt64

from soundloom.atomic_file import replacing
from soundloom.errors import CacheDamagedError, QueryError
from soundloom.library.map.cluster_table import Cluster, describe_clusters, name_clusters
from soundloom.library.map.kept_map import KeptMap, read_map, spelled
from soundloom.library.map.umap_layout import (
    ANCHORS,
    check_umap,
    interpolate_points,
    k_means,
    principal_components,
    umap_points,
)
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.storage.store import Store
from soundloom.part_weights import apply_balance, complete_weights, weight_shares
from soundloom.system_errors import is_unwritable, reason_of

if TYPE_CHECKING:
    from soundloom.library.search.search_index import SearchIndex
    from soundloom.library.search.tag_query import TagQueries
    from soundloom.library.segments import Segment, Segments

__all__ = ["Map", "MapProgress", "Maps"]

_log = logging.getLogger(__name__)

_KEPT = 8
"""Maps kept in a library, the latest used."""
_SHARES = {
    "reading": (0.0, 0.08), "starting UMAP": (0.08, 0.12), "finding neighbours": (0.12, 0.3), "arranging": (0.3, 0.8),
    "placing the rest": (0.8, 0.96), "finding clusters": (0.96, 1.0),
}  # fmt: skip
"""Where each step lies in the whole, roughly by the time it takes of a large library."""


@dataclass(frozen=True)
class MapProgress:
    """How far a map has come.

    Attributes:
        phase: what is being done, in words.
        share: how much of the whole is done, from 0 to 1; never falls.
    """

    phase: str
    share: float


@dataclass(frozen=True, eq=False)
class Map:
    """A library in two dimensions; its rows are those of `Library.index`.

    Attributes:
        coordinates: a point for every segment, in no particular unit.
        clusters: the number of every segment's cluster, from 0.
        names: what each cluster is called, by what sets it apart (`cluster_labels`).
        weights: part name -> weight, as asked for and completed.
        version: the version of the index whose rows these are.
        placed: how many segments were not there when the map was computed, and were placed among their neighbours.
        gone: how many were there then and are no longer.
    """

    coordinates: Float32[np.ndarray, "rows 2"]
    clusters: Int[np.ndarray, " rows"]
    names: tuple[str, ...]
    weights: dict[str, float]
    version: int
    placed: int = 0
    gone: int = 0

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def stale(self) -> bool:
        """Whether the library has got or lost segments since the map was computed."""
        return bool(self.placed or self.gone)


class Maps:
    """The maps of one library, kept in its folder: `Library.maps`.

    Args:
        folder: where they lie; made when the first map is kept.
        balance: of the library's parts, which weights multiply.
        store: the library's rows.
        index: the library's search index.
        words: the words of the library's model.
    """

    def __init__(
        self, folder: Path, balance: Mapping[str, float], store: Store, index: IndexCache, words: TagQueries
    ) -> None:
        self._folder = folder
        self._balance = balance
        self._store = store
        self._index = index
        self._words = words

    def clusters(self, weights: Mapping[str, float] | None = None) -> list[Cluster]:
        """The clusters of the library with names, words of the model and an example of each, the largest first.

        They are those of the map that is kept for these weights, or would be computed; this computes no map.

        Args:
            weights: as for `get`.

        Raises:
            QueryError: weights that a map cannot be drawn by.
        """
        return self._index.use(lambda index: self._clusters(index, weights))

    def members(self, weights: Mapping[str, float] | None = None) -> list[tuple[Segment, str]]:
        """Every segment with the name of its cluster, in the order of their paths; as for `clusters`."""
        return self._index.use(lambda index: self._members(index, weights))

    def _clusters(self, index: SearchIndex, weights: Mapping[str, float] | None) -> list[Cluster]:
        if not len(index):
            return []
        clusters, scale = self._assigned(index, weights)
        return describe_clusters(index, clusters, scale, self._words.word_scores)

    def _members(self, index: SearchIndex, weights: Mapping[str, float] | None) -> list[tuple[Segment, str]]:
        if not len(index):
            return []
        clusters = self._assigned(index, weights)[0]
        names = name_clusters(index, clusters, self._words.word_scores)
        return [
            (one, names[number]) for one, number in zip(index.segments.at(range(len(index))), clusters, strict=True)
        ]

    def _assigned(
        self, index: SearchIndex, weights: Mapping[str, float] | None
    ) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, " dim"]]:
        """The cluster of every row, and the scale of every column by which they were found."""
        scale = _column_scale(index, apply_balance(_map_weights(index, weights), self._balance))
        kept, report = self._kept(index, weights), _reporter(None)
        if kept is not None:
            return kept.clusters, scale
        return k_means(principal_components(index.vectors, scale, report), report), scale

    def get(
        self,
        weights: Mapping[str, float] | None = None,
        progress: Callable[[MapProgress], None] | None = None,
        *,
        recompute: bool = False,
    ) -> Map:
        """The map of the library; kept in its folder, computed if it is not there or mostly out of date.

        Args:
            weights: as for `Library.search`, none below 0; each set of weights has a map of its own.
            progress: called often while a map is computed; what it raises stops the computation.
            recompute: compute it even if one is kept, which may be `Map.stale`.

        Raises:
            MissingExtraError: a map has to be computed and umap-learn is not installed.
            QueryError: weights that a map cannot be drawn by.
        """
        return self._index.use(lambda index: self._get(index, weights, progress, recompute=recompute))

    def kept(self, weights: Mapping[str, float] | None = None) -> Map | None:
        """The map that is kept for these weights, which may be `Map.stale`; None if none is. Computes no map.

        Args:
            weights: as for `get`.

        Raises:
            QueryError: weights that a map cannot be drawn by.
        """
        return self._index.use(lambda index: self._kept(index, weights))

    def _kept(self, index: SearchIndex, weights: Mapping[str, float] | None) -> Map | None:
        """The kept map, brought to the rows of this index; None if there is none, or it is damaged."""
        every = _map_weights(index, weights)
        found = self._read(every)
        if found is None:
            return None
        known, places = _aligned(index.segments, found.numbers)
        placed, gone = int((~known).sum()), len(found.numbers) - int(known.sum())
        if placed and not known.any():
            return None
        places[~known] = 0
        coordinates, clusters = found.coordinates[places], found.clusters[places]
        if placed:
            self._place_new(index, every, known, coordinates, clusters)
        return Map(
            coordinates,
            clusters,
            name_clusters(index, clusters, self._words.word_scores),
            every,
            index.version,
            placed=placed,
            gone=gone,
        )

    def _get(
        self,
        index: SearchIndex,
        weights: Mapping[str, float] | None,
        progress: Callable[[MapProgress], None] | None,
        *,
        recompute: bool,
    ) -> Map:
        """The kept map if it is recent enough, else one that is computed and kept."""
        if not recompute:
            kept = self._kept(index, weights)
            if kept is not None and kept.placed <= len(kept) // 2:
                return kept
        every = _map_weights(index, weights)
        report = _reporter(progress)
        if len(index):
            check_umap(len(index))
            reduced = principal_components(
                index.vectors, _column_scale(index, apply_balance(every, self._balance)), report
            )
            coordinates, clusters = umap_points(reduced, report), k_means(reduced, report)
        else:
            coordinates, clusters = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
        self._write(every, KeptMap(coordinates, clusters, index.segments.numbers, spelled(every)))
        return Map(coordinates, clusters, name_clusters(index, clusters, self._words.word_scores), every, index.version)

    def _place_new(
        self,
        index: SearchIndex,
        weights: dict[str, float],
        known: Bool[np.ndarray, " rows"],
        coordinates: Float32[np.ndarray, "rows 2"],
        clusters: Int[np.ndarray, " rows"],
    ) -> None:
        """Fill in the rows that are not known, from the nearest of a sample of those that are."""
        vectors, scale = index.vectors, _column_scale(index, apply_balance(weights, self._balance)).astype(np.float32)
        rows = np.flatnonzero(known)
        anchors = np.sort(np.random.default_rng(2).permutation(rows)[:ANCHORS])
        new = np.flatnonzero(~known)
        there = vectors[anchors] * scale
        coordinates[new] = interpolate_points(
            vectors[new] * scale, there, coordinates[anchors], lambda _phase, _share: None
        )
        clusters[new] = _nearest_labels(coordinates[new], coordinates[anchors], clusters[anchors])

    def _file(self, weights: dict[str, float]) -> Path:
        return self._folder / f"{blake2b(spelled(weights).encode(), digest_size=8).hexdigest()}.npz"

    def _read(self, weights: dict[str, float]) -> KeptMap | None:
        file = self._file(weights)
        try:
            kept = read_map(file)
        except FileNotFoundError:
            return None
        except CacheDamagedError as damage:
            _log.warning("%s: the map is computed anew", damage)
            return None
        if kept.weights != spelled(weights):
            return None
        # The time says which maps were used last; a library that cannot be written keeps all of them.
        with suppress(OSError):
            file.touch()
        return kept

    def _write(self, weights: dict[str, float], kept: KeptMap) -> None:
        """Keep a map, whole or not at all, and drop those not used for longest."""
        file = self._file(weights)
        try:
            self._folder.mkdir(exist_ok=True)
            with FileLock(self._folder / "map.lock"):
                for stale in self._folder.glob("*.writing"):
                    stale.unlink(missing_ok=True)  # of a process that was killed
                with replacing(file) as temporary, open(temporary, "wb") as stream:
                    np.savez(stream, about=np.array(json.dumps(kept.about())), **kept.arrays())
                latest = sorted(self._folder.glob("*.npz"), key=lambda one: one.stat().st_mtime_ns, reverse=True)
                for old in latest[_KEPT:]:
                    old.unlink(missing_ok=True)
            self._store.note_contents()
        except OSError as error:
            if not is_unwritable(error):
                raise
            _log.warning("the map cannot be kept in %s: %s", self._folder, reason_of(error))


def _column_scale(index: SearchIndex, weights: dict[str, float]) -> Float[np.ndarray, " dim"]:
    scale = np.zeros(index.vectors.shape[1])
    for name, share in weight_shares(weights).items():
        scale[index.parts[name]] = np.sqrt(share)
    return scale


def _map_weights(index: SearchIndex, weights: Mapping[str, float] | None) -> dict[str, float]:
    every = complete_weights(index.parts, weights)
    if min(every.values()) < 0:
        raise QueryError(f"a map cannot be drawn by weights below 0, got {every}: 0 leaves a part out")
    return every


def _aligned(
    segments: Segments, numbers: UInt64[np.ndarray, " kept"]
) -> tuple[Bool[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    """Which segments a kept map shows, and at which of its places."""
    if not len(numbers):
        return np.zeros(len(segments), np.bool_), np.zeros(len(segments), np.int64)
    if np.array_equal(segments.numbers, numbers):
        return np.ones(len(segments), np.bool_), np.arange(len(segments))
    order = np.argsort(numbers, kind="stable")
    near = np.searchsorted(numbers, segments.numbers, sorter=order)
    places = order[np.minimum(near, len(numbers) - 1)]
    return numbers[places] == segments.numbers, places


def _nearest_labels(
    points: Float32[np.ndarray, "wanted 2"], known: Float32[np.ndarray, "known 2"], labels: Int[np.ndarray, " known"]
) -> Int[np.ndarray, " wanted"]:
    import faiss

    index = faiss.IndexFlatL2(2)
    index.add(known)
    return labels[index.search(points, 1)[1][:, 0]]


def _reporter(progress: Callable[[MapProgress], None] | None) -> Callable[[str, float], None]:
    """A step's own share turned into a share of the whole that never falls."""
    reached = 0.0

    def report(phase: str, share: float) -> None:
        nonlocal reached
        first, last = _SHARES[phase]
        reached = max(reached, first + (last - first) * share)
        if progress is not None:
            progress(MapProgress(phase, reached))

    return report
