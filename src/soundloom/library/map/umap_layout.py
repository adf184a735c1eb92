"""Dimensionality reduction to the plane: seeded UMAP (McInnes 2018) for any number of vectors.

Three departures from the textbook:

- The neighbours are found exactly, by FAISS, among at most `COMPONENTS` principal components (randomised, Halko 2011,
  algorithm 4.4): quicker than UMAP's own approximate search, and the same on every run.
- The layout begins from the first two principal components and not from the graph's spectrum, which keeps the large
  structure as well (Kobak & Linderman 2021) and never fails on a graph that falls apart.
- Beyond `ANCHORS` vectors UMAP runs on a seeded sample of that many, and every other vector is interpolated from its
  nearest neighbours in the sample. A million points take minutes instead of an hour; clusters of fewer than about ten
  in a million are not shown as clusters.

When not: to read distances between clusters or their sizes, which UMAP does not keep; nor to compare two maps point by
point, because other vectors give another map.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from soundloom.errors import MissingExtraError

__all__ = ["ANCHORS", "check_umap", "interpolate_points", "k_means", "principal_components", "umap_points"]

_UMAP = "umap-learn", "serve", "the map of a library"

ANCHORS = 50_000
"""Vectors that UMAP itself runs on, at most."""

COMPONENTS = 64
"""Principal components that neighbours are sought in: the rest is mostly noise, and costs time."""

NEIGHBOURS = 15
"""UMAP's usual size of a neighbourhood."""

_NEIGHBOURS_USED = 5
_BATCH = 8192

Report = Callable[[str, float], None]
"""Called with the phase and how much of it is done, from 0 to 1."""

Points = Float32[np.ndarray, "rows 2"]


def principal_components(
    vectors: Float[np.ndarray, "rows dim"], scale: Float[np.ndarray, " dim"], report: Report
) -> Float32[np.ndarray, "rows components"]:
    """The vectors, every column scaled, along the directions in which they vary most.

    Args:
        vectors: may be mapped from a file: read in order, a batch at a time.
        scale: what every column is multiplied by; columns of 0 are not looked at.
        report: called with the progress.
    """
    columns = np.flatnonzero(scale)
    scale = scale[columns].astype(np.float32)
    rng = np.random.default_rng(0)
    drawn = np.sort(rng.permutation(len(vectors))[:ANCHORS])
    sample = vectors[drawn][:, columns] * scale
    mean = sample.mean(axis=0)
    sample -= mean
    basis = _directions(sample, min(COMPONENTS, len(columns)), rng)
    reduced = np.empty((len(vectors), basis.shape[1]), np.float32)
    for first in range(0, len(vectors), _BATCH):
        batch = vectors[first : first + _BATCH][:, columns] * scale - mean
        reduced[first : first + _BATCH] = batch @ basis
        report("reading", min(1.0, (first + _BATCH) / len(vectors)))
    return reduced


def _directions(
    centred: Float32[np.ndarray, "rows dim"], count: int, rng: np.random.Generator
) -> Float32[np.ndarray, "dim count"]:
    """The first principal directions, strongest first, by three rounds of subspace iteration."""
    dim = centred.shape[1]
    basis = np.linalg.qr(rng.normal(size=(dim, min(dim, count + 16))).astype(np.float32))[0]
    for _ in range(3):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    # Within the subspace the directions themselves: the eigenvectors of the small covariance, ascending.
    projected = centred @ basis
    _, turned = np.linalg.eigh(projected.T @ projected)
    directions = basis @ turned[:, ::-1][:, :count]
    # A direction and its opposite are equally good; the sign must not hang on rounding elsewhere.
    largest = np.abs(directions).argmax(axis=0)
    signs = np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1, 1)
    return np.asarray(directions * signs, np.float32)


def umap_points(reduced: Float32[np.ndarray, "rows components"], report: Report) -> Points:
    """Points in the plane, by UMAP where there are enough vectors, else their first two components.

    Args:
        reduced: what `principal_components` gives.
        report: called with the progress.

    Raises:
        MissingExtraError: umap-learn is not installed.
    """
    count = len(reduced)
    start = np.zeros((count, 2), np.float32)
    start[:, : min(2, reduced.shape[1])] = reduced[:, :2]
    if count <= NEIGHBOURS or not np.ptp(start, axis=0).all():
        return start
    if count <= ANCHORS:
        return _umap(reduced, start, report)
    anchors = np.sort(np.random.default_rng(1).permutation(count)[:ANCHORS])
    points = np.empty((count, 2), np.float32)
    points[anchors] = _umap(reduced[anchors], start[anchors], report)
    others = np.setdiff1d(np.arange(count), anchors, assume_unique=True)
    points[others] = interpolate_points(reduced[others], reduced[anchors], points[anchors], report)
    return points


def check_umap(count: int) -> None:
    """Refuse, before anything is computed, a map of so many segments where it needs what is not installed.

    Raises:
        MissingExtraError: umap-learn is not installed.
    """
    if count > NEIGHBOURS and find_spec("umap") is None:
        raise MissingExtraError(*_UMAP)


def _umap(reduced: Float32[np.ndarray, "rows components"], start: Points, report: Report) -> Points:
    report("starting UMAP", 0.0)
    umap = _import_umap()
    neighbours, distances = _neighbours(reduced, report)
    rng = np.random.RandomState(0)
    graph = umap.fuzzy_simplicial_set(
        reduced, NEIGHBOURS, rng, "euclidean", knn_indices=neighbours, knn_dists=distances
    )[0]
    a, b = umap.find_ab_params(1.0, 0.1)
    epochs = 500 if len(reduced) <= 10_000 else 200
    points, _ = umap.simplicial_set_embedding(
        reduced, graph, n_components=2, initial_alpha=1.0, a=a, b=b, gamma=1.0, negative_sample_rate=5,
        n_epochs=epochs, init=start, random_state=rng, metric="euclidean", metric_kwds={}, densmap=False,
        densmap_kwds={}, output_dens=False, tqdm_kwds=_ticking(epochs, report),
    )  # fmt: skip
    return points.astype(np.float32)  # type: ignore[no-any-return]


def _import_umap() -> Any:
    try:
        with warnings.catch_warnings():
            # What it says of optional packages is nothing that our users can act on.
            warnings.simplefilter("ignore", ImportWarning)
            import umap.umap_
    except ImportError:
        raise MissingExtraError(*_UMAP) from None
    return umap.umap_


def _neighbours(
    reduced: Float32[np.ndarray, "rows components"], report: Report
) -> tuple[Int[np.ndarray, "rows neighbours"], Float32[np.ndarray, "rows neighbours"]]:
    """The nearest vectors of every vector, itself among them, and how far they are."""
    import faiss

    index = faiss.IndexFlatL2(reduced.shape[1])
    index.add(reduced)
    neighbours = np.empty((len(reduced), NEIGHBOURS), np.int64)
    squares = np.empty((len(reduced), NEIGHBOURS), np.float32)
    for first in range(0, len(reduced), _BATCH):
        batch = slice(first, first + _BATCH)
        squares[batch], neighbours[batch] = index.search(reduced[batch], NEIGHBOURS)
        report("finding neighbours", min(1.0, (first + _BATCH) / len(reduced)))
    return neighbours, np.sqrt(np.maximum(squares, 0))


def _ticking(epochs: int, report: Report) -> dict[str, Any]:
    """UMAP's progress bar turned into reports: a bar that writes nothing but the number of epochs done."""

    class Ticker:
        reporting = True

        def write(self, text: str) -> None:
            if self.reporting and text.strip().isdigit():
                try:
                    report("arranging", int(text) / epochs)
                except BaseException:
                    # Stopped by the caller: nothing more is reported while the bar is closed.
                    self.reporting = False
                    raise

        def flush(self) -> None:
            """Nothing waits."""

    return {"disable": False, "file": Ticker(), "bar_format": "{n}", "mininterval": 0.1}


def interpolate_points(
    wanted: Float32[np.ndarray, "wanted components"],
    known: Float32[np.ndarray, "known components"],
    points: Float32[np.ndarray, "known 2"],
    report: Report,
) -> Float32[np.ndarray, "wanted 2"]:
    """Points for further vectors: the weighted mean of the points of their nearest known vectors.

    A mean of neighbours in two clusters would lie between the clusters, so only those neighbours count whose points lie
    near the nearest one's.

    Args:
        wanted: the vectors to interpolate.
        known: vectors that have a point, at least one.
        points: their points.
        report: called with the progress.
    """
    import faiss

    dim, count = known.shape[1], min(_NEIGHBOURS_USED, len(known))
    index: Any = faiss.IndexFlatL2(dim)
    if len(known) > _BATCH:
        cells = round(np.sqrt(len(known)))
        index = faiss.IndexIVFFlat(index, dim, cells)
        index.cp.seed = 0
        index.nprobe = max(8, cells // 12)
        index.train(known)
    index.add(known)
    near = 0.02 * float(np.ptp(points, axis=0).max())
    interpolated = np.empty((len(wanted), 2), np.float32)
    for first in range(0, len(wanted), _BATCH):
        squares, rows = index.search(wanted[first : first + _BATCH], count)
        rows = np.where(rows < 0, rows[:, :1], rows)
        distances = np.sqrt(np.maximum(squares, 0))
        closest = distances[:, :1]
        # Membership as in UMAP's graph: 1 for the nearest, less by the distance beyond it in units of the usual one.
        usual = np.maximum((distances - closest).mean(axis=1, keepdims=True), 1e-12)
        weights = np.exp(-(distances - closest) / usual)
        around = points[rows]
        weights[np.linalg.norm(around - around[:, :1], axis=2) > near] = 0
        interpolated[first : first + _BATCH] = (weights[:, :, None] * around).sum(axis=1) / weights.sum(axis=1)[:, None]
        report("placing the rest", min(1.0, (first + _BATCH) / len(wanted)))
    return interpolated


def k_means(reduced: Float32[np.ndarray, "rows components"], report: Report) -> Int[np.ndarray, " rows"]:
    """A cluster for every vector, by k-means; numbered from 0, the largest first.

    The number of clusters is a third of the square root of the number of vectors, from 2 to 48, which is about as many
    colours as can be distinguished.
    """
    import faiss

    count = len(reduced)
    wanted = int(np.clip(round(np.sqrt(count) / 3), min(2, count), 48))
    if wanted < 2 or not np.ptp(reduced, axis=0).any():
        return np.zeros(count, np.int64)
    report("finding clusters", 0.0)
    means = faiss.Kmeans(reduced.shape[1], wanted, niter=20, seed=0, min_points_per_centroid=1)
    means.train(reduced)
    labels = np.concatenate(
        [means.assign(reduced[first : first + _BATCH])[1] for first in range(0, count, _BATCH)]
    ).astype(np.int64)
    report("finding clusters", 1.0)
    sizes = np.bincount(labels, minlength=wanted)
    rank = np.empty(wanted, np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(wanted)
    return rank[labels]
