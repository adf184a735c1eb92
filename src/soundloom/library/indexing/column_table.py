"""Columns of a user's table, such as site or weather, for the files of a library: sorted, filtered and counted by.

A CSV names files as `soundloom.file_tables` matches them. Numbers become numbers where all cells of a column are; an
empty cell says nothing, and of several rows for a file the last counts. What a library knows itself, such as duration
or tags, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from soundloom.errors import FileTableError, LibraryError
from soundloom.file_tables import NAME_COLUMNS, FileMatcher, FileTable, decode_text, read_csv
from soundloom.library.storage.facts_table import COLUMNS, STORED, read_columns, write_columns
from soundloom.system_errors import reason_of

__all__ = ["ColumnReport", "add_columns", "take_over_columns"]

_RESERVED = {
    *COLUMNS,
    *STORED,
    *("path", "name", "folder", "duration", "segments", "tags", "hour", "month", "start", "end"),
    *("similarity", "percentile", "found_by", "label", "score"),
}


@dataclass
class ColumnReport:
    """What a table of columns did.

    Attributes:
        columns: the names that the library has now from it.
        files: how many files of the library the table names.
        unmatched: names that fit no file.
        ambiguous: names that fit several.
        left_out: columns that the library has of its own, or that have no name.
    """

    columns: list[str]
    files: int = 0
    unmatched: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def add_columns(folder: Path, hashes: Mapping[str, str], file: Path) -> ColumnReport:
    """Join the columns of a CSV to the files of a library; those that it had of other tables stay.

    Args:
        folder: the library's.
        hashes: path of every file -> hash of its content.
        file: the CSV: a column ``path`` and any others.

    Raises:
        LibraryError: it cannot be read, has no column to add, or names none of the files.
        ResourceError: the columns cannot be written.
    """
    try:
        table = read_csv(decode_text(file.read_bytes()), [NAME_COLUMNS])
    except OSError as error:
        raise LibraryError(f"the table {str(file)!r} cannot be read: {reason_of(error)}") from None
    except FileTableError as error:
        raise LibraryError(f"the table {str(file)!r} {error}") from None
    named = table.column(NAME_COLUMNS) or 0
    chosen = {
        name: place for place, name in enumerate(table.columns) if place != named and name and name not in _RESERVED
    }
    if not chosen:
        raise LibraryError(
            f"the table {str(file)!r} has no column to add: give a header, and columns that are called otherwise than "
            f"those of the library ({', '.join(sorted(_RESERVED & set(table.columns))) or 'its first line is a file'})"
        )
    report = ColumnReport(list(chosen))
    report.left_out = [name for place, name in enumerate(table.columns) if place != named and name not in chosen]
    values = _known(folder, hashes)
    names = dict.fromkeys(row[named] for row in table.rows if named < len(row))
    _take_rows(table, named, chosen, values, FileMatcher(hashes, names, file.resolve().parent), report)
    if not report.files:
        raise LibraryError(
            f"the table {str(file)!r} names none of the library's files (its first is {report.unmatched[:1]}): its "
            "paths should be relative to its own folder, or end like the sounds' paths"
        )
    write_columns(folder, _as_table(values, hashes))
    return report


def take_over_columns(folder: Path, hashes: Mapping[str, str], other: Path, others: Mapping[str, str]) -> None:
    """Add the columns that tables gave to another library's files; where both have a value, this one's stays.

    Args:
        folder: the library's.
        hashes: path of every file -> hash of its content.
        other: the other library's folder.
        others: as ``hashes``, of its files.

    Raises:
        ResourceError: the columns cannot be written.
    """
    theirs = {path: values for path, values in _known(other, others).items() if path in hashes}
    if theirs:
        mine = _known(folder, hashes)
        values = {path: {**theirs.get(path, {}), **mine.get(path, {})} for path in theirs | mine}
        write_columns(folder, _as_table(values, hashes))


def _known(folder: Path, hashes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What earlier tables say, by the paths of now: path -> column -> value as text."""
    columns = read_columns(folder)
    if columns is None:
        return {}
    of_hash = {digest: path for path, digest in hashes.items()}
    values: dict[str, dict[str, str]] = {}
    for row in columns.to_pylist():
        path, digest = row.pop("path"), row.pop("hash")
        path = path if path in hashes else of_hash.get(digest, path)
        values[path] = {name: str(value) for name, value in row.items() if value is not None}
    return values


def _take_rows(
    table: FileTable,
    named: int,
    chosen: Mapping[str, int],
    values: dict[str, dict[str, str]],
    matcher: FileMatcher,
    report: ColumnReport,
) -> None:
    matched = set()
    for row in table.rows:
        files = matcher.match(row[named]) if named < len(row) and row[named] else ()
        if len(files) == 1:
            cells = {name: row[place] for name, place in chosen.items() if place < len(row) and row[place]}
            values.setdefault(files[0], {}).update(cells)
            matched.add(files[0])
        elif named < len(row):
            (report.ambiguous if files else report.unmatched).append(row[named])
    report.files = len(matched)


def _as_table(values: Mapping[str, Mapping[str, str]], hashes: Mapping[str, str]) -> pa.Table:
    paths = sorted(values)
    names = sorted({name for row in values.values() for name in row})
    columns: dict[str, Any] = {"path": pa.array(paths, pa.string())}
    columns["hash"] = pa.array([hashes.get(path, "") for path in paths], pa.string())
    for name in names:
        columns[name] = _typed([values[path].get(name) for path in paths])
    return pa.table(columns)


def _typed(cells: list[str | None]) -> pa.Array:
    """Cells as whole numbers, numbers or text: the first that all of them are."""
    kinds: tuple[tuple[pa.DataType, Callable[[str], Any]], ...] = ((pa.int64(), int), (pa.float64(), float))
    for kind, read in kinds:
        try:
            return pa.array([None if cell is None else read(cell) for cell in cells], kind)
        except (ValueError, OverflowError):
            continue
    return pa.array(cells, pa.string())
