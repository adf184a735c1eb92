"""Search of ten million rows, and how searches, additions and edits of tags grow with a library.

    python -m benchmarks.ten_million [--rows 10000000] [--queries 100] [--keep FOLDER] [--growth] [--plot FILE]

Rows are those of `benchmarks.hierarchical_embeddings`, written straight to the store; everything else goes through
`Library`. Queries are rows of recordings that the library does not hold. The truth is a comparison with every row of
the store in single precision, apart from the index. Memory is what the process holds by itself (RssAnon); files that
are mapped into memory are counted apart. ``--keep`` leaves the library and its index in a folder and uses them again,
so that a second run measures searches alone. ``--growth`` measures, for libraries from 1,000 rows to ``--rows``, a
search, an addition of 100 recordings and an edit of a tag, each until the next search sees it, in milliseconds of
processors, on copies whose files are hard links; ``--plot FILE`` draws them.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.hierarchical_embeddings import PARTS
from benchmarks.large_library import fill, more_recordings, new_rows
from benchmarks.timing import machine, write_json
from soundloom.library import Library
from soundloom.library.storage.table_schema import embedding_matrix

if TYPE_CHECKING:
    import pyarrow as pa

K = 10
WEIGHTINGS: dict[str, dict[str, float]] = {
    "plain": {"one": 1, "two": 1},
    "3 : 1": {"one": 3, "two": 1},
    "one part": {"one": 1, "two": 0},
    "1 : -1": {"one": 1, "two": -1},
}
FILTERS = {
    "": None,
    "1 row in 10, by tag": "array_has(tags, 'tag-3')",
    "1 row in 100, by folder": "path LIKE '/sounds/42/%'",
}
TARGETS = {"p50": 10.0, "recall": 0.95, "memory": 1000.0}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ten_million", description="search of ten million rows")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the library (%(default)s)")
    parser.add_argument("--queries", type=int, default=100, help="of each kind (%(default)s)")
    parser.add_argument("--keep", type=Path, help="leave the library in this folder, and use it if it is there")
    parser.add_argument("--growth", action="store_true", help="measure growth from 1,000 rows instead")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the growth there, as PNG or SVG")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    with _folder(options.keep) as folder:
        results = list(
            growth(folder, options.rows) if options.growth else searches(folder, options.rows, options.queries)
        )
    print(f"{machine()['processor']}; {options.rows:,} rows of {PARTS['two'].stop} numbers in two parts")
    if options.plot is not None and options.growth:
        _drawn(results, options.plot)
    if options.json is not None:
        write_json(options.json, results)


def searches(folder: Path, rows: int, queries: int) -> Iterator[dict[str, Any]]:
    """Build what is missing, and time every kind of search: seconds, megabytes, recall."""
    library = _library(folder / f"rows-{rows}.loom", rows)
    began = time.perf_counter()
    library.index()
    built = time.perf_counter() - began
    size = {part: _megabytes(library.folder / part) for part in ("store", "index")}
    print(f"index built or opened in {built:.1f} s; store {size['store']:,.0f} MB, index {size['index']:,.0f} MB")
    given = new_rows(rows, queries)
    table = Table("filter", "weights", "first ms", "p50 ms", "p95 ms", f"recall at {K}", title=f"{rows:,} rows")
    worst = {"p50": 0.0, "recall": 1.0}
    for condition, where in FILTERS.items():
        # In a process of its own, whose memory does not count.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            truth = process.submit(true_rows, library.folder, given, where).result()
        for name, weights in WEIGHTINGS.items():
            taken, found = [], 0.0
            for query, expected in zip(given, truth[name], strict=True):
                began = time.perf_counter()
                hits = library.search_embedding(query, K, weights=weights, where=where)
                taken.append(1000 * (time.perf_counter() - began))
                found += len({(hit.path, hit.start) for hit in hits} & expected) / K / len(given)
            p50, p95 = np.percentile(taken[1:], [50, 95])
            row = {"filter": condition, "weights": name, "first": taken[0], "p50": p50, "p95": p95, "recall": found}
            if name != "1 : -1":
                worst = {"p50": max(worst["p50"], float(p50)), "recall": min(worst["recall"], found)}
            table.add_row(condition, name, *(f"{row[key]:.1f}" for key in ("first", "p50", "p95")), f"{found:.3f}")
            yield {"rows": rows, "built": built, **size, **row}
    Console(width=120).print(table)
    memory = _resident()
    print(f"memory of this process alone {memory['RssAnon']:,.0f} MB (mapped files {memory['RssFile']:,.0f} MB)")
    reached = {"p50": worst["p50"], "recall": worst["recall"], "memory": memory["RssAnon"]}
    for name, value in reached.items():
        met = value >= TARGETS[name] if name == "recall" else value <= TARGETS[name]
        print(f"{name}, worst of plain, steered and filtered: {value:.3g}; target {TARGETS[name]:g}: "
              f"{'met' if met else 'missed'}")  # fmt: skip
    yield {"rows": rows, **reached}


def true_rows(folder: Path, queries: np.ndarray, where: str | None) -> dict[str, list[set[tuple[str, float]]]]:
    """For each weighting the nearest rows of each query, by comparing all rows of the store."""
    library = Library.open(folder)
    index = library.index()
    mask = None if where is None else index.mask(where)
    standardisation = index.standardisation
    asked = standardisation.apply(queries)
    weighted = {
        name: np.concatenate([asked[:, columns] * weights[part] for part, columns in PARTS.items()], axis=1)
        for name, weights in WEIGHTINGS.items()
    }
    best = {name: np.full((len(queries), K), -np.inf, np.float32) for name in WEIGHTINGS}
    rows = {name: np.zeros((len(queries), K), np.int64) for name in WEIGHTINGS}
    for batch in library._store.scan(["embedding"], row_ids=True):
        places = index.positions(batch["_rowid"].to_numpy())
        some = np.arange(len(places)) if mask is None else np.flatnonzero(mask[places])
        if not len(some):
            continue
        compared = standardisation.apply(embedding_matrix(batch, standardisation.dim)[some])
        for name, query in weighted.items():
            both = np.concatenate([best[name], query @ compared.T], axis=1)
            numbers = np.concatenate([rows[name], np.broadcast_to(places[some], (len(queries), len(some)))], axis=1)
            chosen = np.argpartition(-both, K - 1, axis=1)[:, :K]
            best[name], rows[name] = (np.take_along_axis(some, chosen, 1) for some in (both, numbers))
    return {
        name: [{(segment.path, segment.start) for segment in index.segments.at(some)} for some in rows[name]]
        for name in WEIGHTINGS
    }


def growth(folder: Path, most: int) -> Iterator[dict[str, Any]]:
    """For libraries of 1,000, 10,000 ... rows, milliseconds of a search, an addition and an edit; their growth."""
    sizes = [10**power for power in range(3, int(math.log10(most) + 1e-9) + 1)]
    table = Table("rows", *GROWTH, title="growth: milliseconds of processors")
    results: list[dict[str, Any]] = []
    for rows in sizes:
        _library(folder / f"rows-{rows}.loom", rows).index()
        with TemporaryDirectory(dir=folder) as temporary:
            copy = Path(temporary) / "copy.loom"
            shutil.copytree(folder / f"rows-{rows}.loom", copy, copy_function=os.link)
            library = Library.open(copy)
            library.search_embedding(new_rows(rows, 1)[0], K)
            results.append({"rows": rows, **{name: measure(library, rows) for name, measure in GROWTH.items()}})
        table.add_row(f"{rows:,}", *(f"{results[-1][name]:,.1f}" for name in GROWTH))
        yield results[-1]
    Console(width=120).print(table)
    for name in GROWTH if len(results) > 1 else ():
        slopes = [_slope(*pair, name) for pair in pairwise(results)]
        each, met = ", ".join(f"{slope:.2f}" for slope in slopes), "met" if max(slopes) < 1 else "missed"
        whole = _slope(results[0], results[-1], name)
        print(f"{name} grows as rows ** {whole:.2f}, from size to size {each}; target: each less than 1: {met}")
    print(f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")


def _slope(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> float:
    return math.log(other[name] / one[name]) / math.log(other["rows"] / one["rows"])


def _drawn(results: Sequence[Mapping[str, Any]], file: Path) -> None:
    """The growth, on logarithmic axes, beside a line of what grows as the rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    rows = [row["rows"] for row in results]
    for name in GROWTH:
        axes.loglog(rows, [row[name] for row in results], marker="o", label=name)
    axes.loglog(rows, [rows_ / rows[0] for rows_ in rows], color="0.6", linestyle=":", label="as the rows")
    axes.set(xlabel="rows of the library", ylabel="milliseconds of processors")
    axes.legend()
    figure.savefig(file, dpi=120)


def _searched(library: Library, rows: int) -> float:
    queries = new_rows(rows, 21)
    return float(np.median([_processor_milliseconds(library.search_embedding, query, K) for query in queries][1:]))


def _added(library: Library, rows: int) -> float:
    """The store takes the rows of 100 recordings, and the next search sees them."""

    def add(recordings: pa.Table) -> None:
        library._store.append(recordings)
        library.search_embedding(query, K)

    query = new_rows(rows, 1)[0]
    return min(_processor_milliseconds(add, more_recordings(rows, 100, number)) for number in range(3))


def _edited(library: Library, rows: int) -> float:
    """A segment gets a tag, and the next search shows it."""

    def edit() -> None:
        library.tags.add(f"new-{time.time_ns()}", [library.index().segments.at([0])[0]])
        library.search_embedding(query, K)

    query = new_rows(rows, 1)[0]
    return min(_processor_milliseconds(edit) for _ in range(3))


GROWTH = {"search": _searched, "addition of 100 recordings": _added, "edit of a tag": _edited}


def _library(folder: Path, rows: int) -> Library:
    if folder.exists():
        return Library.open(folder)
    began = time.perf_counter()
    library = fill(folder, rows, lambda line: print(line, flush=True) if rows > 10**6 else None)
    print(f"{rows:,} rows written in {time.perf_counter() - began:.0f} s", flush=True)
    return library


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with TemporaryDirectory() as temporary:
        yield Path(temporary)


def _processor_milliseconds(work: Callable[..., object], *given: Any) -> float:
    began = time.process_time()
    work(*given)
    return 1000 * (time.process_time() - began)


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _resident() -> Mapping[str, float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.startswith("Rss")}


if __name__ == "__main__":
    main()
