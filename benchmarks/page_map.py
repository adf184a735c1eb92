"""How long the map of a library takes to compute, and how much memory.

    python -m benchmarks.page_map [--rows 100000] [--quick] [--json OUT]

A library of clustered random rows (those of `benchmarks.search`) through `Library.map`, as the page and ``soundloom
map`` compute it: principal components, exact neighbours and UMAP of a sample, every other row placed among its
neighbours there, clusters and their names. Starting UMAP, which compiles itself, is told apart. Then the map is read
back as it was kept.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.search import TwoParts, clustered, filled
from benchmarks.serving import DIM
from benchmarks.timing import machine, write_json
from soundloom.library import Library
from soundloom.library.map.library_map import MapProgress


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_map", description="time the map of a library")
    parser.add_argument("--rows", type=int, default=100_000, help="in the library (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="2000 rows: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    rows = 2000 if options.quick else options.rows
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "library.loom"
        filled(folder, clustered(rows, DIM)).index()
        figures = mapped(Library.open(folder, TwoParts(DIM)))
    table = Table("what", "figure", title=f"{machine()['processor']}, {rows:,} rows of {DIM}")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.1f}")
    Console(width=120).print(table)
    if options.json is not None:
        write_json(options.json, [{"rows": rows, **figures}])


def mapped(library: Library) -> dict[str, float]:
    """Compute the map; seconds of each step, and MiB."""
    library.index()
    before = peak()
    steps: dict[str, float] = {}
    phase, since = "reading", time.perf_counter()

    def told(reached: MapProgress) -> None:
        nonlocal phase, since
        now = time.perf_counter()
        steps[phase] = steps.get(phase, 0.0) + now - since
        phase, since = reached.phase, now

    began = time.perf_counter()
    made = library.maps.get(progress=told)
    taken = time.perf_counter() - began
    began = time.perf_counter()
    kept = library.maps.kept()
    again = time.perf_counter() - began
    if kept is None or len(kept) != len(made):
        raise SystemExit("the map was not kept")
    return {
        **{f"{phase}, s": seconds for phase, seconds in steps.items()},
        "whole, s": taken,
        "read back, s": again,
        "clusters": len(made.names),
        "peak before, MiB": before,
        "peak after, MiB": peak(),
    }


def peak() -> float:
    """MiB that this process has held at once, at most."""
    # In KiB, but for macOS, which tells bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
