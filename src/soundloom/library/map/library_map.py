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
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from jaxtyping import Bool, Float, Float32, Int, UInt64

from soundloom.atomic_file import replacing
from soundloom.errors import CacheDamagedError, QueryError
from soundloom.library.map.cluster_labels import cluster_labels
from soundloom.library.map.cluster_table import Cluster, describe_clusters
from soundloom.library.map.umap_layout import ANCHORS, interpolate_points, k_means, principal_components, umap_points
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.search.query import apply_balance, complete_weights
from soundloom.library.storage.store import Store
from soundloom.system_errors import first_line, is_unwritable

if TYPE_CHECKING:
    from soundloom.library.search.search_index import SearchIndex
    from soundloom.library.search.tag_query import TagQueries
    from soundloom.library.segments import Segments

__all__ = ["Map", "MapProgress", "Maps", "check_maps"]

_log = logging.getLogger(__name__)

_FORMAT = 1
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
        names: what each cluster is called, by the tags or the folder that set it apart.
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

    def _clusters(self, index: SearchIndex, weights: Mapping[str, float] | None) -> list[Cluster]:
        if not len(index):
            return []
        scale = _column_scale(index, apply_balance(_map_weights(index, weights), self._balance))
        kept, report = self._kept(index, weights), _reporter(None)
        clusters = (
            k_means(principal_components(index.vectors, scale, report), report) if kept is None else kept.clusters
        )
        return describe_clusters(index, clusters, scale, self._words.word_scores)

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
        coordinates, clusters, numbers = found.coordinates, found.clusters, found.numbers
        known, places = _aligned(index.segments, numbers)
        placed, gone = int((~known).sum()), len(numbers) - int(known.sum())
        if placed:
            if not known.any():
                return None
            places[~known] = 0
            coordinates, clusters = coordinates[places], clusters[places]
            self._place_new(index, every, known, coordinates, clusters)
        else:
            coordinates, clusters = coordinates[places], clusters[places]
        return Map(
            coordinates, clusters, cluster_labels(index.rows, clusters), every, index.version, placed=placed, gone=gone
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
            reduced = principal_components(
                index.vectors, _column_scale(index, apply_balance(every, self._balance)), report
            )
            coordinates, clusters = umap_points(reduced, report), k_means(reduced, report)
        else:
            coordinates, clusters = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
        self._write(every, _KeptMap(coordinates, clusters, index.segments.numbers, _spelled(every)))
        return Map(coordinates, clusters, cluster_labels(index.rows, clusters), every, index.version)

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
        return self._folder / f"{blake2b(_spelled(weights).encode(), digest_size=8).hexdigest()}.npz"

    def _read(self, weights: dict[str, float]) -> _KeptMap | None:
        file = self._file(weights)
        try:
            kept = _read_map(file)
        except FileNotFoundError:
            return None
        except CacheDamagedError as damage:
            _log.warning("%s: the map is computed anew", damage)
            return None
        if kept.weights != _spelled(weights):
            return None
        # The time says which maps were used last; a library that cannot be written keeps all of them.
        with suppress(OSError):
            file.touch()
        return kept

    def _write(self, weights: dict[str, float], kept: _KeptMap) -> None:
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
            _log.warning("the map cannot be kept in %s: %s", self._folder, error.strerror)


@dataclass(frozen=True, eq=False)
class _KeptMap:
    """A map as a file holds it: a point, a cluster and a segment number for every segment, and the weights."""

    coordinates: Float32[np.ndarray, "rows 2"]
    clusters: Int[np.ndarray, " rows"]
    numbers: UInt64[np.ndarray, " rows"]
    weights: str

    def arrays(self) -> dict[str, Any]:
        """The arrays as they are written."""
        return {
            "coordinates": self.coordinates,
            "clusters": self.clusters.astype(np.uint16),
            "numbers": self.numbers,
        }

    def about(self) -> dict[str, Any]:
        """Format, weights and checksum."""
        digest = blake2b(self.weights.encode(), digest_size=16)
        for array in self.arrays().values():
            digest.update(np.ascontiguousarray(array).tobytes())
        return {"format": _FORMAT, "weights": self.weights, "checksum": digest.hexdigest()}


def check_maps(folder: Path) -> Iterator[tuple[Path, CacheDamagedError]]:
    """The damaged ones among the maps kept in a folder, and what is wrong with each."""
    for file in sorted(folder.glob("*.npz")):
        try:
            _read_map(file)
        except CacheDamagedError as damage:
            yield file, damage


def _read_map(file: Path) -> _KeptMap:
    """Read a kept map.

    Raises:
        FileNotFoundError: there is none.
        CacheDamagedError: it cannot be read, or is not as it was written.
    """
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            kept = _KeptMap(
                arrays["coordinates"], arrays["clusters"].astype(np.int64), arrays["numbers"], str(about["weights"])
            )
        if about["format"] != _FORMAT or ("checksum" in about and about != kept.about()):
            raise CacheDamagedError("it is not as it was written")
        count = len(kept.numbers)
        if kept.coordinates.shape != (count, 2) or kept.clusters.shape != (count,) or kept.numbers.dtype != np.uint64:
            raise CacheDamagedError("its arrays are of different lengths")
        if kept.coordinates.dtype != np.float32 or not np.isfinite(kept.coordinates).all():
            raise CacheDamagedError("its points are not finite")
        return kept
    except FileNotFoundError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise CacheDamagedError(f"{str(file)!r} is damaged ({first_line(error)})") from error


def _column_scale(index: SearchIndex, weights: dict[str, float]) -> Float[np.ndarray, " dim"]:
    scale = np.zeros(index.vectors.shape[1])
    for name, columns in index.parts.items():
        scale[columns] = np.sqrt(weights[name] / sum(weights.values()))
    return scale


def _map_weights(index: SearchIndex, weights: Mapping[str, float] | None) -> dict[str, float]:
    every = complete_weights(index.parts, weights)
    if min(every.values()) < 0:
        raise QueryError(f"a map cannot be drawn by weights below 0, got {every}: 0 leaves a part out")
    return every


def _spelled(weights: dict[str, float]) -> str:
    """Weights that steer alike, spelled alike: shares of the whole to a thousandth."""
    total = sum(weights.values())
    return json.dumps({name: round(weight / total, 3) for name, weight in sorted(weights.items())})


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
