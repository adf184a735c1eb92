"""How long a search takes and how many of the true neighbours it finds.

    python -m benchmarks.search [--rows 100000] [--dim 256] [--queries 200] [--quick] [--json OUT]

A library of clustered random rows in two parts. Half of the rows belong to one cluster by their first part and to
another by their second, as a woven embedding's parts do that hear different things. Queries are drawn like the rows
and are none of them. Every kind of search runs through `SearchIndex.search` and, with the filter evaluated and the
rows read, through `Library.search_embedding`. The truth is a brute-force search written here, apart from the index.

A filter that is new is evaluated by the store; one that was used before is remembered.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.timing import machine, write_json
from soundloom.embedder import Embedder, Frames
from soundloom.library import Hit, Library
from soundloom.library.search.matches import NearestRows
from soundloom.library.storage.table_schema import FileState, segment_rows

K = 10
VARIANTS = 10
"""Of each filter: fewer than the library remembers."""
SEGMENTS = 10
CLUSTERS = 1000
TARGET_MS, TARGET_RECALL = 10.0, 0.99

Ask = Callable[[int], "NearestRows | list[Hit]"]
"""Searches by the n-th query."""

WEIGHTINGS: dict[str, dict[str, float]] = {
    "plain": {"one": 1, "two": 1},
    "one part": {"one": 1, "two": 0},
    "3 : 1": {"one": 3, "two": 1},
    "1 : -1": {"one": 1, "two": -1},
}


_TEXTS = itertools.count()


class TwoParts(Embedder):
    """A model of two equal parts that embeds nothing."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.name, self.sample_rate, self.min_samples = "one+two", 16000, 1
        self.dim = self.frame_dim = dim
        self.parts = {"one": slice(0, dim // 2), "two": slice(dim // 2, dim)}

    def frames(self, waveforms: Tensor) -> Frames:
        """Never called."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Nothing but the size."""
        return {"dim": self.dim}

    def embed_equal(self, waveforms: Tensor) -> Tensor:
        """Never called."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A condition on rows, as SQL and as numpy, in `VARIANTS` that admit different rows.

    Attributes:
        name: what the table calls it.
        sql: the condition's text, given the variant and a number that makes the text new and admits the same rows.
        rows: which rows satisfy it, given the number of each one's file and the variant.
    """

    name: str
    sql: Callable[[int, int], str]
    rows: Callable[[np.ndarray, int], np.ndarray]


FILTERS = (
    Filter(
        name="half of the rows",
        sql=lambda _, text: f"duration > 101 AND size > {text}",
        rows=lambda files, _: files % 2 == 1,
    ),
    Filter(
        name="1 row in 10, by tag",
        sql=lambda variant, text: f"array_has(tags, 'tag-{variant}') AND size > {text}",
        rows=lambda files, variant: files % 10 == variant,
    ),
    Filter(
        name="1 row in 100, by folder",
        sql=lambda variant, text: f"path LIKE '/sounds/{variant:02d}/%' AND size > {text}",
        rows=lambda files, variant: files % 100 == variant,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of search.

    Attributes:
        through: the class that is asked.
        filter: the condition, if any.
        weights: how the parts count.
        p50: median milliseconds.
        p95: milliseconds that 95 searches of 100 do not exceed.
        recall: share of the true ten nearest that is found.
    """

    through: str
    filter: str
    weights: str
    p50: float
    p95: float
    recall: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description="time searches")
    parser.add_argument("--rows", type=int, default=100_000, help="in the library (%(default)s)")
    parser.add_argument("--dim", type=int, default=256, help="of an embedding (%(default)s)")
    parser.add_argument("--queries", type=int, default=200, help="of each kind (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="5000 rows, 20 queries: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    count, queries = (5000, 20) if options.quick else (options.rows // SEGMENTS * SEGMENTS, options.queries)

    every = clustered(count + queries, options.dim)
    with TemporaryDirectory() as temporary:
        library = filled(Path(temporary) / "library.loom", every[:count])
        began = time.perf_counter()
        index = library.index()
        built = time.perf_counter() - began
        rows = list(measure(library, every[:count], every[count:]))

    title = f"{count:,} x {options.dim}, k = {K}, {queries} queries of each kind, {machine()['processor']}; "
    title += f"the index is built in {built:.1f} s and {'visits cells' if index.has_cells else 'compares all rows'}"
    table = Table("through", "filter", "weights", "p50 ms", "p95 ms", f"recall at {K}", title=title)
    for row in rows:
        table.add_row(
            row.through, row.filter, row.weights, f"{row.p50:.2f}", f"{row.p95:.2f}", f"{row.recall:.4f}",
        )  # fmt: skip
    Console(width=120).print(table)
    print(f"target: p50 at most {TARGET_MS:g} ms and recall at least {TARGET_RECALL}, in every row")
    if options.json is not None:
        write_json(options.json, [{"rows": count, "dim": options.dim, "built": built, **asdict(row)} for row in rows])


def clustered(count: int, dim: int) -> np.ndarray:
    """Rows [count, dim] around centres; half of them around two different ones by their two parts."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2, CLUSTERS, dim // 2), np.float32)
    first = rng.integers(CLUSTERS, size=count)
    second = np.where(rng.random(count) < 0.5, first, rng.integers(CLUSTERS, size=count))
    rows = np.concatenate([centres[0, first], centres[1, second]], axis=1)
    rows += 0.7 * rng.standard_normal(rows.shape, np.float32)
    # As raw embeddings are: a large mean and unequal spreads, which the index takes away.
    return rows * rng.uniform(0.1, 10, dim).astype(np.float32) + np.float32(5)


def filled(folder: Path, embeddings: np.ndarray) -> Library:
    """A library of these rows, ten segments a file, written in commits of a few thousand rows."""
    import pyarrow as pa

    library = Library.create(folder, TwoParts(embeddings.shape[1]))
    store, tables = library._store, []
    for file, first in enumerate(range(0, len(embeddings), SEGMENTS)):
        some = embeddings[first : first + SEGMENTS]
        starts = [10.0 * place for place in range(len(some))]
        # Odd files last two seconds longer, which is what the first filter asks for.
        ends = [*starts[1:], starts[-1] + (12 if file % 2 else 10)]
        state = FileState(f"/sounds/{file % 100:02d}/{file:06d}.wav", 10**6, 0, f"{file:032x}")
        tables.append(segment_rows(state, starts, ends, some, [[f"tag-{file % 10}"]] * len(some)))
        if len(tables) == 400:
            store.append(pa.concat_tables(tables))
            tables = []
    if tables:
        store.append(pa.concat_tables(tables))
    store.compact()
    return library


def measure(library: Library, embeddings: np.ndarray, queries: np.ndarray) -> Iterator[Row]:
    """Every kind of search, through the index and through the library."""
    rows = library.index().rows
    # The index orders rows by path; this is the row, in the order of making, at each of its places.
    paths, starts = rows["path"].to_pylist(), rows["start"].to_numpy()
    made = np.array([int(Path(path).stem) for path in paths]) * SEGMENTS + np.rint(starts / 10).astype(np.int64)
    files = np.arange(len(embeddings)) // SEGMENTS

    def rows_found(answer: NearestRows | list[Hit]) -> set[int]:
        if isinstance(answer, NearestRows):
            return set(made[answer.rows].tolist())
        return {int(Path(hit.path).stem) * SEGMENTS + round(hit.start / 10) for hit in answer}

    def timed(ask: Ask, expected: Sequence[set[int]]) -> dict[str, float]:
        taken, answers = [], []
        for n in range(len(queries)):
            began = time.perf_counter()
            answers.append(ask(n))
            taken.append(1000 * (time.perf_counter() - began))
        recall = np.mean([len(rows_found(a) & e) / len(e) for a, e in zip(answers, expected, strict=True)])
        p50, p95 = np.percentile(taken, [50, 95])
        return {"p50": float(p50), "p95": float(p95), "recall": float(recall)}

    for name, weights in WEIGHTINGS.items():
        similarity = true_similarity(library, embeddings, queries, weights)
        expected = [nearest(row) for row in similarity]
        for through, ask in unfiltered(library, queries, weights).items():
            ask(0)
            yield Row(through=through, filter="", weights=name, **timed(ask, expected))
        for where in FILTERS if min(weights.values()) >= 0 else ():
            masks = [where.rows(files, variant) for variant in range(VARIANTS)]
            expected = [nearest(row, masks[n % VARIANTS]) for n, row in enumerate(similarity)]
            for through, ask in filtered(library, queries, weights, where, [mask[made] for mask in masks]).items():
                for variant in range(VARIANTS):
                    ask(variant)
                yield Row(through=through, filter=where.name, weights=name, **timed(ask, expected))


def unfiltered(library: Library, queries: np.ndarray, weights: Mapping[str, float]) -> dict[str, Ask]:
    """Ways to search all rows."""
    index = library.index()
    return {
        "SearchIndex": lambda n: index.search(queries[n], K, weights),
        "Library": lambda n: library.search_embedding(queries[n], K, weights=weights),
    }


def filtered(
    library: Library, queries: np.ndarray, weights: Mapping[str, float], where: Filter, admitted: Sequence[np.ndarray]
) -> dict[str, Ask]:
    """Ways to search the rows that a filter admits."""
    index = library.index()

    def ask(n: int, text: int) -> list[Hit]:
        return library.search_embedding(queries[n], K, weights=weights, where=where.sql(n % VARIANTS, text))

    return {
        "SearchIndex": lambda n: index.search(queries[n], K, weights, admitted[n % VARIANTS]),
        "Library, filter new": lambda n: ask(n, next(_TEXTS)),
        "Library, filter used before": lambda n: ask(n, -1),
    }


def true_similarity(
    library: Library, embeddings: np.ndarray, queries: np.ndarray, weights: Mapping[str, float]
) -> np.ndarray:
    """The weighted mean of the parts' cosines of standardised embeddings, [queries, rows]."""
    mean, deviation = embeddings.mean(axis=0, dtype=np.float64), embeddings.std(axis=0, dtype=np.float64)
    total = np.zeros((len(queries), len(embeddings)), np.float32)
    for name, (first, last) in library.settings.parts.items():
        asked, kept = (
            ((rows[:, first:last] - mean[first:last]) / deviation[first:last]).astype(np.float32)
            for rows in (queries, embeddings)
        )
        cosines = asked @ kept.T / np.linalg.norm(asked, axis=1)[:, None] / np.linalg.norm(kept, axis=1)
        total += np.float32(weights[name]) * cosines
    return total


def nearest(similarity: np.ndarray, admitted: np.ndarray | None = None) -> set[int]:
    """The rows of the largest similarity among those admitted."""
    kept = similarity if admitted is None else np.where(admitted, similarity, -np.inf)
    return set(np.argpartition(-kept, K)[:K].tolist())


if __name__ == "__main__":
    main()
