"""Table of the similarities between the segments of a library, as CSV or Parquet, written block by block.

    path, start, other, other_start, similarity, distance

The similarity is that of a search, the distance 1 minus it. Rows come in the order of the paths; those of one segment
best first, or all of them in the order of the others' paths. Memory is bounded (`vector_index.pairwise`).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundloom.atomic_file import replacing
from soundloom.errors import LibraryError, QueryError
from soundloom.library.library import Library
from soundloom.library.search.library_query import LibraryQuery
from soundloom.library.search.vector_index.pairwise import nearest_pairs
from soundloom.local_path import local_path
from soundloom.safe_text import csv_cell
from soundloom.system_errors import reason_of

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.search.search_index import SearchIndex

__all__ = ["check_distance_file", "write_distances"]

_ENDINGS = (".csv", ".parquet")
_FLUSH = 2**16
_COLUMNS = ("path", "start", "other", "other_start", "similarity", "distance")


def check_distance_file(out: Path) -> Path:
    """Refuse a name that says no format, before anything is computed.

    Raises:
        LibraryError: it ends otherwise than tables do.
    """
    if out.suffix.lower() not in _ENDINGS:
        raise LibraryError(f"distances are written to a {' or '.join(_ENDINGS)}, got {str(out)!r}")
    return out


def write_distances(
    library: Library,
    out: str | os.PathLike[str],
    *,
    query: str | LibraryQuery = "",
    nearest: int | None = 10,
    weights: Mapping[str, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write how similar the segments of a library are to each other.

    Args:
        library: the library.
        out: a file that ends in .csv or .parquet.
        query: among which segments, by text and filters; all if not given.
        nearest: how many others of each; every pair if not given.
        weights: part name -> how much that part counts, as for `Library.search`.
        progress: called now and then: how many segments are done, of how many.

    Returns:
        How many pairs were written.

    Raises:
        LibraryError: the ending is not known, or the file cannot be written.
        QueryError: fewer than one neighbour, an unknown part, or a query that ranks.
    """
    file = check_distance_file(local_path(out))
    if nearest is not None and nearest < 1:
        raise QueryError(f"the number of neighbours must be at least 1, got {nearest}")
    asked = LibraryQuery.of(query)
    every = library.settings.balanced_weights(weights)
    index = library.index()
    rows = np.arange(len(index))
    if asked.text or asked.filter or asked.where:
        rows = np.sort(index.segments.rows_of(library.select(asked)))
    total = 0
    try:
        with replacing(file) as temporary, _writer(file.suffix.lower(), temporary) as write:
            for done, table in _tables(index, nearest_pairs(index.vectors, index.parts, every, rows, nearest)):
                write(table)
                total += table.num_rows
                if progress is not None:
                    progress(done, len(rows))
    except OSError as error:
        raise LibraryError(f"cannot write {str(file)!r}: {reason_of(error)}") from None
    return total


def _tables(index: SearchIndex, pairs: Iterator[tuple[Any, Any, Any]]) -> Iterator[tuple[int, pa.Table]]:
    """Pairs as tables of some ten thousand rows, each with the number of segments done."""
    waiting: list[tuple[Any, Any, Any]] = []
    count = done = 0
    for done, pair in enumerate(pairs, start=1):
        waiting.append(pair)
        count += len(pair[0])
        if count >= _FLUSH:
            yield done, _table(index, waiting)
            waiting, count = [], 0
    yield done, _table(index, waiting)


def _table(index: SearchIndex, pairs: list[tuple[Any, Any, Any]]) -> pa.Table:
    import pyarrow as pa

    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    rows, others, similarities = (np.concatenate(some) for some in zip(*(pairs or [empty]), strict=True))
    one, other = (index.rows.select(["path", "start"]).take(pa.array(some)) for some in (rows, others))
    columns = [one["path"], one["start"], other["path"], other["start"], similarities, 1 - similarities]
    return pa.table(dict(zip(_COLUMNS, columns, strict=True)))


@contextmanager
def _writer(ending: str, file: Path) -> Iterator[Callable[[pa.Table], None]]:
    import pyarrow as pa
    from pyarrow import parquet

    if ending == ".csv":
        with open(file, "w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            rows.writerow(_COLUMNS)

            def write(table: pa.Table) -> None:
                path, start, other, begins, *numbers = table.to_pydict().values()
                names, others = map(csv_cell, path), map(csv_cell, other)
                shown = ([f"{value:.6g}" for value in some] for some in numbers)
                rows.writerows(zip(names, start, others, begins, *shown, strict=True))

            yield write
        return
    types = (pa.string(), pa.float64(), pa.string(), pa.float64(), pa.float32(), pa.float32())
    schema = pa.schema(list(zip(_COLUMNS, types, strict=True)))
    with parquet.ParquetWriter(file, schema) as table_writer:
        yield lambda table: table_writer.write_table(table.cast(schema))
