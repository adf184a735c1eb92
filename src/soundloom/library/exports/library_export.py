"""Export of a whole library as one file of embeddings, which `embedding_import` makes a library of again.

    .parquet    path, start, end, duration, tags, embedding, and every fact and column that the library has of its files
    .npz        arrays path, start, end, tags (each a JSON list), embedding
    .csv        path, start, end, then one column a dimension, about

All say which model made the embeddings, as files that `embedding_export` writes do: name, fingerprint,
engine, sample rate, parts, which are centred, balance, decoding, window and hop. Rows come in the order of paths and
starts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from soundloom.atomic_file import replacing
from soundloom.errors import LibraryError, ModelError, ModelMismatchError
from soundloom.library.exports.embedding_export import CsvRows, describe_embeddings
from soundloom.library.library import Library
from soundloom.library.storage.sql import path_is_in
from soundloom.local_path import local_path
from soundloom.system_errors import reason_of

__all__ = ["export_library"]

_FILES = 500
"""Files whose rows are read at a time."""
_OF_ROWS = ("path", "start", "end", "duration", "tags")
_DERIVED = frozenset(("name", "folder", "segments", "hour", "month"))
"""Fields that follow from others."""


def export_library(library: Library, out: str | os.PathLike[str]) -> tuple[int, int]:
    """Write all embeddings of a library with paths, times, tags and facts; nothing is embedded.

    Args:
        library: the library.
        out: a file that ends in .parquet, .npz or .csv.

    Returns:
        How many files and segments were written.

    Raises:
        LibraryError: the ending is not known, the library is empty, or the file cannot be written.
    """
    file = local_path(out)
    writers = {".parquet": _write_parquet, ".npz": _write_npz, ".csv": _write_csv}
    if file.suffix.lower() not in writers:
        raise LibraryError(f"a library is exported to a {', '.join(writers)}, got {str(file)!r}")
    library.check_filled()
    files = library.files()
    try:
        with replacing(file) as temporary:
            writers[file.suffix.lower()](library, _tables(library, files), temporary)
    except OSError as error:
        raise LibraryError(f"cannot write {str(file)!r}: {reason_of(error)}") from None
    return len(files), len(library)


def _about(library: Library) -> str:
    """What the embeddings are, as JSON; the model is loaded for its sample rate, where it can be."""
    try:
        rate = library.model.sample_rate
    except (ModelError, ModelMismatchError):
        rate = None
    return describe_embeddings(library.settings, rate)


def _tables(library: Library, files: list[str]) -> Iterator[pa.Table]:
    for first in range(0, len(files), _FILES):
        yield library.rows([*_OF_ROWS, "embedding"], path_is_in(files[first : first + _FILES]))


def _write_parquet(library: Library, tables: Iterator[pa.Table], file: Path) -> None:
    fields = library.index().fields
    names = [name for name in fields.names if name not in _DERIVED and name not in _OF_ROWS]
    columns = {name: fields.column(name) for name in names}
    writer = None
    try:
        for table in tables:
            places = pc.index_in(table["path"].combine_chunks(), value_set=fields.paths)
            for name, column in columns.items():
                table = table.append_column(name, column.take(places))
            if writer is None:
                schema = table.schema.with_metadata({"soundloom": _about(library)})
                writer = parquet.ParquetWriter(file, schema)
            writer.write_table(table.cast(schema))
    finally:
        if writer is not None:
            writer.close()


def _write_npz(library: Library, tables: Iterator[pa.Table], file: Path) -> None:
    table = pa.concat_tables(tables)
    with open(file, "wb") as stream:
        np.savez(
            stream,
            path=np.array(table["path"].to_pylist(), np.str_),
            start=table["start"].to_numpy(),
            end=table["end"].to_numpy(),
            tags=np.array([json.dumps(tags or [], ensure_ascii=False) for tags in table["tags"].to_pylist()], np.str_),
            embedding=_matrix(table),
            about=np.array(_about(library)),
        )


def _write_csv(library: Library, tables: Iterator[pa.Table], file: Path) -> None:
    with open(file, "w", newline="", encoding="utf-8") as stream:
        rows = CsvRows(stream, library.settings.dim, _about(library))
        for table in tables:
            columns = table.select(["path", "start", "end"]).to_pydict().values()
            for (path, start, end), vector in zip(zip(*columns, strict=True), _matrix(table), strict=True):
                rows.write(path, start, end, vector)


def _matrix(table: pa.Table) -> np.ndarray:
    column = table["embedding"].combine_chunks()
    return np.asarray(column.flatten().to_numpy().reshape(len(column), -1))
