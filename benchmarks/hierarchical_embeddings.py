"""Random embeddings with the neighbourhoods of a real library, chunk by chunk: a hierarchy of Gaussians in two parts.

    python -m benchmarks.hierarchical_embeddings [--compare LIBRARY ...]

A row is the sum of a class, a group in it, its recording, a loudness axis and its own noise, in each part:

    x = sqrt(.15) class + sqrt(.15) group + sqrt(.20 t) recording + .35 g axis + sqrt(.50 t) noise

Groups are as frequent as 1 / (20 + rank) (Zipf-Mandelbrot), 30 recordings to one on average; the second part shares the
group of the first with probability .6, and its recording always. t is uniform in [.02, .9] for each recording: some
are dense and some are scattered, which is why real neighbours are between .4 and .9 alike. The spectrum of classes and
groups falls as rank^-.4. `--compare` prints, for rows of this generator and for as many of real libraries, what an
index depends on: similarities of the 1st, 10th and 100th neighbour, of any two rows, the spectrum, the agreement of the
parts' neighbours and the sizes of k-means cells.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from rich.console import Console
from rich.table import Table

__all__ = ["PARTS", "SEGMENTS", "Hierarchy", "statistics"]

HALF = 128
PARTS = {"one": slice(0, HALF), "two": slice(HALF, 2 * HALF)}
SEGMENTS = 10
"""Rows of a recording."""
_CLASSES, _RECORDINGS_A_GROUP = 300, 30
_CLASS, _GROUP, _RECORDING, _AXIS = 0.15, 0.15, 0.20, 0.35
_SHARED = 0.6
_TIGHTNESS = (0.02, 0.9)
_QUERIES = 300


class Hierarchy:
    """Rows of recordings, the same for a seed and a number of recordings whatever the chunks.

    Args:
        recordings: how many there are; groups grow with them.
        seed: of everything.
    """

    def __init__(self, recordings: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._seed = seed
        self._groups = max(2 * _CLASSES, recordings // _RECORDINGS_A_GROUP)
        shares = 1 / (20 + np.arange(self._groups))
        self._cumulated = np.cumsum(shares / shares.sum())
        self._centres = [self._group_centres(rng) for _ in PARTS]
        self._axes = rng.standard_normal((len(PARTS), HALF), np.float32)
        # As raw embeddings are: a large mean and unequal spreads, which an index takes away.
        self._spread = rng.uniform(0.1, 10, 2 * HALF).astype(np.float32)

    def rows(self, chunk: int, recordings: int) -> Float32[np.ndarray, "rows dim"]:
        """The raw embeddings of a chunk of recordings, `SEGMENTS` rows each.

        Args:
            chunk: number of the chunk, which seeds it.
            recordings: how many are in it.
        """
        rng = np.random.default_rng([self._seed, chunk])
        first = self._drawn(rng, recordings)
        second = np.where(rng.random(recordings) < _SHARED, first, self._drawn(rng, recordings))
        tightness = rng.uniform(*_TIGHTNESS, (recordings, 1)).astype(np.float32)
        rows = np.empty((recordings, SEGMENTS, 2 * HALF), np.float32)
        for groups, centres, axis, columns in zip(
            (first, second), self._centres, self._axes, PARTS.values(), strict=True
        ):
            recording = rng.standard_normal((recordings, HALF), np.float32) * np.sqrt(_RECORDING * tightness)
            loudness = _AXIS * rng.standard_normal((recordings, 1), np.float32) * axis
            part = rng.standard_normal((recordings, SEGMENTS, HALF), np.float32)
            part *= np.sqrt((1 - _CLASS - _GROUP - _RECORDING) * tightness)[:, :, None]
            part += (centres[groups] + recording + loudness)[:, None]
            rows[:, :, columns] = part
        rows *= self._spread
        rows += np.float32(5)
        return rows.reshape(-1, 2 * HALF)

    def _drawn(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.minimum(np.searchsorted(self._cumulated, rng.random(count)), self._groups - 1)

    def _group_centres(self, rng: np.random.Generator) -> Float32[np.ndarray, "groups half"]:
        spectrum = np.arange(1, HALF + 1) ** -0.4
        spectrum /= np.sqrt(np.mean(spectrum**2))
        rotation = np.linalg.qr(rng.standard_normal((HALF, HALF)))[0]

        def directions(count: int) -> np.ndarray:
            return (rng.standard_normal((count, HALF)) * spectrum) @ rotation

        classes = directions(_CLASSES)[rng.integers(_CLASSES, size=self._groups)]
        return (np.sqrt(_CLASS) * classes + np.sqrt(_GROUP) * directions(self._groups)).astype(np.float32)


def statistics(vectors: Float32[np.ndarray, "rows dim"], parts: Mapping[str, slice]) -> Iterator[tuple[str, list[str]]]:
    """What an index depends on, for each part and for all together: name and cells of a table.

    Args:
        vectors: standardised embeddings, every part of unit length.
        parts: part name -> its columns.
    """
    import faiss

    rng = np.random.default_rng(0)
    queries = rng.choice(len(vectors), min(_QUERIES, len(vectors)), replace=False)
    neighbours: dict[str, np.ndarray] = {}
    for name, columns in {**parts, "all": slice(None)}.items():
        rows = np.ascontiguousarray(vectors[:, columns]) / np.float32(np.sqrt(len(parts)) if name == "all" else 1)
        similarity = rows[queries] @ rows.T
        similarity[np.arange(len(queries)), queries] = -np.inf
        neighbours[name] = np.argsort(-similarity, axis=1)[:, :100]
        near = np.take_along_axis(similarity, neighbours[name], 1)
        spectrum = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
        spectrum /= spectrum.sum()
        means = faiss.Kmeans(rows.shape[1], 64, niter=10, seed=0)
        means.train(rows)
        sizes = np.sort(np.bincount(means.index.search(rows, 1)[1][:, 0], minlength=64)) / len(rows) * 64
        yield (
            name,
            [
                *(" ".join(f"{x:.2f}" for x in np.percentile(near[:, place], [5, 50, 95])) for place in (0, 9, 99)),
                " ".join(f"{x:.2f}" for x in np.percentile(similarity[similarity > -1], [1, 50, 99])),
                f"{spectrum[0]:.2f} {spectrum[1]:.3f}",
                f"{np.searchsorted(np.cumsum(spectrum), 0.9) + 1} of {rows.shape[1]}",
                " ".join(f"{x:.2f}" for x in np.percentile(sizes, [5, 50, 95])),
            ],
        )
    for name, other in zip(list(parts), [*list(parts)[1:], "all"], strict=True):
        shared = [
            len(set(a) & set(b)) / 10
            for a, b in zip(neighbours[name][:, :10].tolist(), neighbours[other][:, :10].tolist(), strict=True)
        ]
        yield f"{name} and {other}", [f"{np.mean(shared):.2f} of ten neighbours shared"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hierarchical_embeddings", description=__doc__)
    parser.add_argument("--rows", type=int, default=11_530, help="of the generator (%(default)s)")
    parser.add_argument("--compare", type=Path, nargs="*", default=[], help="libraries with a search index")
    options = parser.parse_args(arguments)
    recordings = -(-options.rows // SEGMENTS)
    raw = Hierarchy(recordings).rows(0, recordings)
    every = [("generator", _standardised(raw), PARTS)]
    for library in options.compare:
        parts = json.loads((library / "library.json").read_text())["parts"]
        vectors = np.load(library / "index" / "vectors.npy")
        every.append((library.name, vectors, {name: slice(*columns) for name, columns in parts.items()}))
    console = Console(width=140)
    for title, vectors, parts in every:
        table = Table(
            "part", "1st neighbour", "10th", "100th", "any two rows", "eigenvalues", "90 % of variance", "cell sizes",
            title=f"{title}: {len(vectors):,} rows; 5th, 50th, 95th percentiles (of any two: 1st, 50th, 99th)",
        )  # fmt: skip
        for name, cells in statistics(vectors, parts):
            table.add_row(name, *cells)
        console.print(table)


def _standardised(raw: np.ndarray) -> np.ndarray:
    from soundloom.library.search.vector_index.standardisation import Standardisation

    mean, deviation = raw.mean(axis=0, dtype=np.float64), raw.std(axis=0, dtype=np.float64)
    return Standardisation(mean, 1 / deviation, PARTS).apply(raw)


if __name__ == "__main__":
    main()
