"""Rows of a library's search index and what they say of its files, read without LanceDB while the index is up to date.

Whether an index was built from the store as it is can be seen without opening that: the index holds the version and the
checksum of the manifest that it was built from. LanceDB takes a second to import.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.errors import CacheDamagedError
from soundloom.library.library_files import INDEX_FOLDER
from soundloom.library.search.vector_index.index_files import IndexFiles, open_index
from soundloom.library.storage.integrity.manifests import latest_manifest, manifest_checksum
from soundloom.library.storage.store_folders import store_folder
from soundloom.library.storage.table_schema import Failure, FileNotice, read_notices

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.search.fields.file_fields import FileFields
    from soundloom.library.storage.store import Store

__all__ = ["StoredTables", "current_failures", "current_fields", "current_rows"]


class StoredTables:
    """What a library's tables say of its files: from the store if it is open or the search index is older than it.

    Args:
        folder: the library's.
        store: its rows.

    Raises:
        LibraryDamagedError: a file of the store is not as it was written.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._store = store
        store.check_changed()
        self._index = None if store.is_open else _current_index(folder)
        self._rows = _rows(self._index)

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return self._store.count if self._rows is None else int(self._rows.num_rows)

    def durations(self) -> dict[str, float]:
        """The length of every indexed file in seconds, by path."""
        if self._rows is None:
            return self._store.durations()
        return dict(zip(self._rows["path"].to_pylist(), self._rows["duration"].to_pylist(), strict=True))

    def notices(self) -> list[FileNotice]:
        """What was noticed of the files when they were decoded, by path."""
        if self._rows is None or "notices" not in self._rows.column_names:
            return self._store.notices()
        noticed = self._rows.select(["path", "notices"]).filter(self._rows["notices"].is_valid())
        return read_notices(dict(zip(noticed["path"].to_pylist(), noticed["notices"].to_pylist(), strict=True)))

    def failures(self) -> list[Failure]:
        """The files that could not be indexed, by path."""
        found = _failures(self._index, self._store.failures_identity)
        return self._store.failures() if found is None else found


def current_failures(folder: Path) -> list[Failure] | None:
    """The files that could not be indexed, by path; None where the index is missing, damaged or older than the store.

    Args:
        folder: the library's.
    """
    try:
        latest = latest_manifest(store_folder(folder) / "failures.lance")
        return None if latest is None else _failures(_current_index(folder), manifest_checksum(latest[1]))
    except OSError:
        return None


def current_fields(folder: Path) -> FileFields | None:
    """Fields of the files; None where `current_rows` gives none.

    Args:
        folder: the library's.
    """
    from soundloom.library.search.fields.file_fields import FileFields  # rows alone do without
    from soundloom.library.storage.facts_table import read_facts_table

    rows = current_rows(folder)
    return None if rows is None else FileFields(rows, read_facts_table(folder))


def current_rows(folder: Path) -> pa.Table | None:
    """Path, start, end, duration, tags and notices of every segment, ordered by path and start.

    Args:
        folder: the library's.

    Returns:
        None where there is no such library, or its index is missing, damaged or older than its store: open the library
        then.
    """
    return _rows(_current_index(folder))


def _current_index(folder: Path) -> IndexFiles | None:
    """The files of the index; None where it is missing, damaged or older than the store."""
    try:
        latest = latest_manifest(store_folder(folder) / "segments.lance")
        index = open_index(folder / INDEX_FOLDER)
        if latest is None or index is None:
            return None
        version, file = latest
        return index if (index.state.version, index.state.store) == (version, manifest_checksum(file)) else None
    except (OSError, ValueError, CacheDamagedError):
        return None


def _failures(index: IndexFiles | None, identity: str) -> list[Failure] | None:
    """The failures that the index holds, if it is of their table as it is."""
    known = index is not None and index.state.failures == identity
    table = _table(index.failures) if index is not None and known else None
    return None if table is None else [Failure(**row) for row in table.to_pylist()]


def _rows(index: IndexFiles | None) -> pa.Table | None:
    return None if index is None else _table(lambda: index.rows().table)


def _table(read: Callable[[], pa.Table]) -> pa.Table | None:
    """A table of the index; None where it is damaged."""
    try:
        return read()
    except (OSError, ValueError, CacheDamagedError):
        return None
