"""Durable storage of a library: LanceDB tables of segments and of files that could not be read.

One row a segment. Every change is one commit of the table, so a process killed at any moment leaves
either all of a file's rows or none: there is nothing to repair. Rows of several files share a commit,
because a commit costs milliseconds; the rows of one file are never split between two.

Every commit notes checksums of the files that it has written (`soundloom.library.storage.integrity.store_checksums`).
Errors of the disk, of memory and of LanceDB become `SoundloomError` that name the store.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.audio import Notice
from soundloom.errors import LibraryDamagedError, QueryError
from soundloom.library.storage.integrity.checked_tables import CheckedTables, table_damages
from soundloom.library.storage.integrity.store_checksums import Damage
from soundloom.library.storage.root_paths import is_below
from soundloom.library.storage.sql import check_condition, is_segment, path_is_below, path_is_in, sql_text
from soundloom.library.storage.table_schema import (
    ADDED_COLUMNS,
    Failure,
    FileNotice,
    FileState,
    embedding_matrix,
    failure_schema,
    failure_table,
    notice_lines,
    read_notices,
    segment_schema,
    with_column,
)
from soundloom.system_errors import first_line, one_line_errors

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Store", "store_damages"]

_SEGMENTS, _FAILURES = "segments", "failures"
_CHUNK, _FEW = 500, 64
"""Files, and segments, that one SQL expression names."""
_BATCH_ROWS, _BATCH_FLOATS = 2**16, 2**22
"""What a batch of a scan holds at most: one costs a third of a millisecond, and LanceDB's own are of 1024 rows."""


class Store:
    """The tables of one library.

    Args:
        folder: where the tables lie; made if absent.
        dim: the size of an embedding.

    Raises:
        LibraryDamagedError: a table is missing, or cannot be opened.
        ResourceError: the folder cannot be read, or has to be made and cannot be written.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._dim = dim
        self.folder = folder
        self._tables = CheckedTables(folder, {_SEGMENTS: segment_schema(dim), _FAILURES: failure_schema()})

    _segments = property(lambda self: self._tables[_SEGMENTS])
    _failures = property(lambda self: self._tables[_FAILURES])

    def add_missing_columns(self) -> None:
        """Give a table that an earlier version made the columns that it lacks, all null; no row is written again."""
        missing = {name: f"cast(NULL as {kind})" for name, kind in ADDED_COLUMNS.items() if name not in self.columns}
        if missing:
            with self._tables.committing():
                self._segments.add_columns(missing)

    @property
    def columns(self) -> list[str]:
        """The names of the columns of the segments."""
        return list(self._segments.schema.names)

    @property
    def version(self) -> int:
        """A number that changes with every change of the segments."""
        with one_line_errors(self.folder, from_engine=True):
            return self._tables.version(_SEGMENTS)

    def refresh(self) -> None:
        """Take in what other processes have committed, as reading `version` does."""
        _ = self.version

    @property
    def identity(self) -> str:
        """Checksum of the segments' current manifest; differs between stores also where their versions are the same."""
        return self._tables.identity(_SEGMENTS)

    @property
    def failures_identity(self) -> str:
        """As `identity`, of the table of failures."""
        return self._tables.identity(_FAILURES)

    @property
    def is_open(self) -> bool:
        """Whether LanceDB has opened the tables, which they are when first read or changed."""
        return self._tables.are_open

    def check_changed(self) -> None:
        """As `check_files`, once per process, the files whose size or time has changed."""
        self._tables.check_changed()

    def check_files(self) -> None:
        """Compare every file of the store with its checksum.

        Raises:
            LibraryDamagedError: some differ.
        """
        self._tables.check_files()

    def note_contents(self) -> None:
        """Note which caches the library's folder holds now, so that `soundloom verify` notices when one is deleted."""
        self._tables.note_contents()

    def renew_checksums(self) -> None:
        """Note the checksums of all files as they are now, damaged or not."""
        self._tables.renew_checksums()

    @property
    def count(self) -> int:
        """How many segments there are."""
        with one_line_errors(self.folder, from_engine=True):
            return int(self._segments.count_rows())

    @property
    def small_fragments(self) -> int:
        """Of how many small fragments the table consists; every commit adds some, and `compact` joins them."""
        return int(self._segments.stats()["fragment_stats"]["num_small_fragments"])

    def files(self) -> dict[str, FileState]:
        """Every indexed file, by path."""
        known: dict[str, FileState] = {}
        for path, size, mtime_ns, digest in self.values(["path", "size", "mtime_ns", "hash"]):
            known.setdefault(path, FileState(path, size, mtime_ns, digest))
        return known

    def scan(
        self, columns: Sequence[str], where: str | None = None, *, row_ids: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """The rows, batch by batch, in no particular order.

        Args:
            columns: which columns.
            where: an SQL condition on the columns.
            row_ids: whether a column ``_rowid`` comes along, valid for this version of the table.

        Raises:
            QueryError: the condition is not valid SQL, or names a column that does not exist.
        """
        self._tables.check_changed()
        batch_size = max(1, _BATCH_FLOATS // self._dim) if "embedding" in columns else _BATCH_ROWS
        with one_line_errors(self.folder, from_engine=True):
            query = self._segments.search().select(list(columns)).limit(max(1, self.count))
        query = query.with_row_id(row_ids)
        if where is not None:
            query = query.where(check_condition(where))
        try:
            with one_line_errors(self.folder, from_engine=True):
                yield from query.to_batches(batch_size)
        except (LibraryDamagedError, RuntimeError, ValueError) as error:
            if where is None:
                raise
            names = ", ".join(name for name in self.columns if name != "embedding")
            reason = first_line(error.__cause__ or error).partition(". Valid fields are")[0]
            reason = reason.rpartition(": ")[2].rstrip(".")
            raise QueryError(f"the filter {where!r} cannot be evaluated: {reason}. Columns: {names}") from None

    def values(self, columns: Sequence[str], where: str | None = None) -> Iterator[tuple[Any, ...]]:
        """The values of some columns, a tuple for each row; as `scan`."""
        for batch in self.scan(columns, where):
            yield from zip(*(batch[name].to_pylist() for name in columns), strict=True)

    def row_ids(self, first: int, stop: int) -> NDArray[np.uint64]:
        """The row ids of this version of the table from ``first`` up to ``stop``, in no particular order."""
        batches = self.scan(["start"], f"_rowid >= {first} AND _rowid < {stop}", row_ids=True)
        return np.concatenate([np.zeros(0, np.uint64), *(batch["_rowid"].to_numpy() for batch in batches)])

    def rows_by_id(self, row_ids: NDArray[np.uint64], columns: Sequence[str]) -> pa.Table:
        """Rows by their ids, in the order asked for, with a column ``_rowid``.

        Args:
            row_ids: of this version of the table.
            columns: which columns.
        """
        import pyarrow as pa

        self._tables.check_changed()
        with one_line_errors(self.folder, from_engine=True):
            query = self._segments.take_row_ids(row_ids.tolist()).select(list(columns)).with_row_id()
            rows = query.to_arrow()
        return rows.take(pa.array(np.argsort(rows["_rowid"].to_numpy())[np.argsort(np.argsort(row_ids))]))

    def sorted_rows(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Columns of the rows, ordered by path and start; see `Library.rows`."""
        import pyarrow as pa

        known = self._segments.schema.names
        unknown = [columns] if isinstance(columns, str) else [name for name in columns if name not in known]
        if unknown:
            raise QueryError(f"columns are some of {', '.join(known)}, as a list; got {', '.join(map(repr, unknown))}")
        asked = list(dict.fromkeys([*columns, "path", "start"]))
        batches = list(self.scan(asked, where))
        if not batches:
            return pa.table({name: [] for name in columns})
        table = pa.Table.from_batches(batches)
        return table.sort_by([("path", "ascending"), ("start", "ascending")]).select(list(columns))

    def embeddings(self, paths: Iterable[str]) -> dict[tuple[str, float], NDArray[np.float32]]:
        """The embeddings ``[dim]`` of the segments of some files, by path and start."""
        found: dict[tuple[str, float], NDArray[np.float32]] = {}
        for chunk in _chunks(sorted(set(paths))):
            for batch in self.scan(["path", "start", "embedding"], path_is_in(chunk)):
                keys = zip(batch["path"].to_pylist(), batch["start"].to_pylist(), strict=True)
                found.update(zip(keys, embedding_matrix(batch, self._dim), strict=True))
        return found

    def append(self, rows: pa.Table) -> None:
        """Add the rows of files that the store does not know."""
        with self._tables.committing():
            self._segments.add(rows)

    def replace(self, rows: pa.Table, paths: Sequence[str]) -> None:
        """Put rows in the place of all rows of the files with these paths, in one commit."""
        merge = (
            self._segments.merge_insert(["path", "start"])
            .when_matched_update_all()
            .when_not_matched_insert_all()
            .when_not_matched_by_source_delete(path_is_in(paths))
        )
        with self._tables.committing():
            merge.execute(rows)

    def move(self, donors: Mapping[str, str], states: Mapping[str, FileState], vacated: Iterable[str]) -> None:
        """Give files the rows of other files, in one commit.

        Args:
            donors: path of a file -> path of the file whose rows it takes over; the same may serve several, or itself.
            states: path of a file -> its size, time and hash, which are those of the donor's content.
            vacated: files whose rows are removed with it.
        """
        import pyarrow as pa

        files = sorted(donors)
        batches = list(self.scan(self._segments.schema.names, path_is_in(sorted(set(donors.values())))))
        rows = pa.Table.from_batches(batches, schema=self._segments.schema if not batches else None)
        takers: dict[str, list[int]] = defaultdict(list)
        for number, path in enumerate(files):
            takers[donors[path]].append(number)
        pairs = [(row, taker) for row, path in enumerate(rows["path"].to_pylist()) for taker in takers[path]]
        taken = [states[files[taker]] for _, taker in pairs]
        rows = rows.take(pa.array([row for row, _ in pairs], pa.int64()))
        for name in ("path", "size", "mtime_ns", "hash"):
            rows = with_column(rows, name, [getattr(state, name) for state in taken])
        self.replace(rows, sorted({*files, *vacated}))

    def rename_folder(self, old: str, new: str) -> None:
        """Give the rows and failures of all files below a folder, or of one file, another path."""
        prefix = old.rstrip(os.sep)
        value = f"concat({sql_text(new.rstrip(os.sep))}, substr(path, {len(prefix) + 1}))"
        with self._tables.committing():
            for table in (self._segments, self._failures):
                table.update(where=path_is_below(old), values_sql={"path": value})

    def remove_folder(self, folder: str, keep: Iterable[str] = ()) -> None:
        """Remove the rows and failures of all files below a folder and not below those to keep, or of one file."""
        with self._tables.committing():
            for table in (self._segments, self._failures):
                table.delete(" AND NOT ".join(map(path_is_below, (folder, *keep))))

    def tags(self, paths: Sequence[str]) -> dict[str, dict[float, frozenset[str]]]:
        """The tags of the segments of some files: path -> start second -> tags."""
        found: dict[str, dict[float, frozenset[str]]] = {path: {} for path in paths}
        for some in _chunks(sorted(paths)):
            for path, start, tags in self.values(["path", "start", "tags"], path_is_in(some)):
                found[path][start] = frozenset(tags or ())
        return found

    def durations(self) -> dict[str, float]:
        """The length of every indexed file in seconds, by path."""
        return dict(self.values(["path", "duration"]))

    def decoded_before(self, version: int) -> dict[str, tuple[int, float]]:
        """The files that an earlier version of decoding decoded: path -> that version, and seconds.

        Rows of a time before versions were recorded are of the first.
        """
        if "decoder" not in self.columns:
            return {path: (1, seconds) for path, seconds in self.durations().items()}
        earlier = self.values(["path", "decoder", "duration"], f"decoder IS NULL OR decoder < {int(version)}")
        return {path: (decoder or 1, seconds) for path, decoder, seconds in earlier}

    def notices(self) -> list[FileNotice]:
        """What was noticed of the files when they were decoded, by path."""
        if "notices" not in self.columns:
            return []
        return read_notices(dict(self.values(["path", "notices"], "notices IS NOT NULL")))

    def write_decoding(self, notices: Mapping[str, Sequence[Notice]], version: int) -> None:
        """Record of known files, whose embeddings stay, the version of decoding and what it noticed, in one commit."""
        import pyarrow as pa

        rows = pa.Table.from_batches(
            [batch for some in _chunks(sorted(notices)) for batch in self.scan(["path", "start"], path_is_in(some))]
        )
        lines = [notice_lines(notices[path]) for path in rows["path"].to_pylist()]
        rows = rows.append_column("decoder", pa.array([version] * len(lines), pa.int32()))
        rows = rows.append_column("notices", pa.array(lines, pa.string()))
        with self._tables.committing():
            self._segments.merge_insert(["path", "start"]).when_matched_update_all().execute(rows)

    def remove(self, paths: Sequence[str]) -> None:
        """Forget files."""
        for some in _chunks(sorted(paths)):
            with self._tables.committing():
                self._segments.delete(path_is_in(some))

    def failures(self) -> list[Failure]:
        """The files that could not be indexed, sorted by path."""
        with one_line_errors(self.folder, from_engine=True):
            rows = self._failures.search().limit(max(1, self._failures.count_rows())).to_list()
        return sorted((Failure(row["path"], row["reason"]) for row in rows), key=lambda failure: failure.path)

    def write_tags(self, tags: Mapping[tuple[str, float], Sequence[str]], row_ids: Sequence[int] | None = None) -> None:
        """Give segments these tags, in one commit.

        Args:
            tags: (path, start) of a segment -> all its tags.
            row_ids: their row ids, if they are known; where others lie under these, the segments are looked for.
        """
        import pyarrow as pa

        given = {tuple(some) for some in tags.values()}
        if len(tags) <= _FEW and len(given) == 1:
            # Of a million rows a merge reads every one, which takes seconds.
            new = f"make_array({', '.join(map(sql_text, given.pop()))})"
            where = is_segment(tags)
            # What is named by row ids is found without a scan of ten million rows.
            named = [] if row_ids is None else [f"_rowid IN ({', '.join(map(str, row_ids))}) AND ({where})"]
            with self._tables.committing():
                for one in [*named, where]:
                    if self._segments.update(where=one, values_sql={"tags": new}).rows_updated == len(tags):
                        return
            return
        columns = {
            "path": pa.array([path for path, _ in tags]),
            "start": pa.array([start for _, start in tags]),
            "tags": pa.array(list(map(list, tags.values())), pa.list_(pa.string())),
        }
        with self._tables.committing():
            self._segments.merge_insert(["path", "start"]).when_matched_update_all().execute(pa.table(columns))

    def set_failures(self, failures: Sequence[Failure]) -> None:
        """Replace the list of files that could not be indexed."""
        with self._tables.committing():
            self._failures.add(failure_table(failures), mode="overwrite")

    def record_failures(self, failed: Mapping[str, str], roots: Sequence[str]) -> None:
        """Keep the files that failed now, beside those outside some roots that failed before.

        Args:
            failed: path -> reason.
            roots: the folders and files that were searched now.
        """
        before = {failure.path: failure.reason for failure in self.failures()}
        after = {path: reason for path, reason in before.items() if not is_below(path, roots)} | dict(failed)
        if after != before:
            self.set_failures([Failure(path, after[path]) for path in sorted(after)])

    def compact(self) -> None:
        """Join the small fragments that many small commits leave, and drop versions older than a day."""
        self._tables.check_changed()
        with self._tables.committing(removed=True):
            self._segments.optimize(cleanup_older_than=timedelta(days=1))


def store_damages(folder: Path) -> list[Damage]:
    """Everything that is wrong with a store, found by reading all its files and all its rows; writes nothing."""
    return table_damages(folder, (_SEGMENTS, _FAILURES))


def _chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(items), _CHUNK):
        yield items[first : first + _CHUNK]
