"""A library of random embeddings, its rows written straight to the store as `Library.add` would leave them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.hierarchical_embeddings import PARTS, SEGMENTS, Hierarchy
from benchmarks.search import TwoParts
from soundloom.audio import DECODER_VERSION
from soundloom.library import Library
from soundloom.library.storage.table_schema import segment_schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CHUNK", "fill", "more_recordings", "new_rows", "path_of"]

CHUNK = 1000
"""Recordings made at a time."""
_CHUNKS_A_COMMIT = 20
_FOLDERS = 100


def path_of(recording: int, recordings: int) -> str:
    """The path of a recording: a hundred folders, in the order of the recordings."""
    return f"/sounds/{recording * _FOLDERS // recordings:02d}/{recording:08d}.wav"


def fill(folder: Path, rows: int, report: Callable[[str], None]) -> Library:
    """Make a library of a number of rows; one in ten recordings has the tag ``tag-0``, and so on to ``tag-9``.

    Args:
        folder: of the library.
        rows: a multiple of `SEGMENTS`.
        report: called with a line after every commit.
    """
    import pyarrow as pa

    recordings = rows // SEGMENTS
    dim = max(columns.stop for columns in PARTS.values())
    library = Library.create(folder, TwoParts(dim))
    every = Hierarchy(recordings)
    for commit in range(0, recordings, CHUNK * _CHUNKS_A_COMMIT):
        tables = []
        stop = min(commit + CHUNK * _CHUNKS_A_COMMIT, recordings)
        for first in range(commit, stop, CHUNK):
            numbers = np.arange(first, min(first + CHUNK, recordings))
            embeddings = every.rows(first // CHUNK, len(numbers))
            tables.append(_table(numbers, recordings, embeddings))
        library._store.append(pa.concat_tables(tables))
        report(f"{stop * SEGMENTS:,} of {rows:,} rows")
    return library


def new_rows(rows: int, count: int) -> np.ndarray:
    """Rows like those of a library of a size, of recordings that it does not hold, one of each.

    Args:
        rows: of the library.
        count: how many.
    """
    return Hierarchy(rows // SEGMENTS).rows(10**6, count)[::SEGMENTS]


def more_recordings(rows: int, count: int, number: int) -> pa.Table:
    """Rows of recordings that a library of a size does not hold.

    Args:
        rows: of the library.
        count: recordings.
        number: another one gives other recordings.
    """
    embeddings = Hierarchy(rows // SEGMENTS).rows(10**7 + number, count)
    numbers = 10**7 + number * count + np.arange(count)
    return _table(numbers, int(numbers[-1]) + 1, embeddings)


def _table(numbers: np.ndarray, recordings: int, embeddings: np.ndarray) -> pa.Table:
    import pyarrow as pa

    count, dim = embeddings.shape
    starts = np.tile(10.0 * np.arange(SEGMENTS), len(numbers))
    paths = [path_of(number, recordings) for number in numbers.tolist()]
    tags = pa.array([f"tag-{number % 10}" for number in np.repeat(numbers, SEGMENTS).tolist()])
    columns = [
        pa.array(np.repeat(np.array(paths, object), SEGMENTS)),
        starts,
        starts + 10.0,
        np.full(count, 10.0 * SEGMENTS),
        np.full(count, 10**6),
        np.zeros(count, np.int64),
        pa.array(np.repeat(np.array([f"{number:032x}" for number in numbers.tolist()], object), SEGMENTS)),
        pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), tags),
        pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), dim),
        np.full(count, DECODER_VERSION, np.int32),
        pa.nulls(count, pa.string()),
    ]
    return pa.table(columns, schema=segment_schema(dim))
