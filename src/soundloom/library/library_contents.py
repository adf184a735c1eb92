"""Contents of a library as it is stored: its files, segments, failures, notices, levels and columns, in its tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from soundloom.errors import LibraryError, QueryError
from soundloom.file_names import os_path
from soundloom.library.annotation_store.library_annotations import LibraryAnnotations
from soundloom.library.indexing.add_report import FileProgress
from soundloom.library.indexing.column_table import ColumnReport, add_columns
from soundloom.library.indexing.file_facts import measure_levels
from soundloom.library.indexing.indexed_library import IndexedLibrary
from soundloom.library.indexing.library_roots import Roots
from soundloom.library.mirror import refresh, shown
from soundloom.library.saved_searches import SavedSearches, read_saved
from soundloom.library.search.current_rows import StoredTables
from soundloom.library.search.fields.facets import Facets
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.search.library_query import LibraryQuery, facets, select
from soundloom.library.search.query_sound import QuerySound
from soundloom.library.search.terms.query_terms import QueryTerms
from soundloom.library.search.terms.sound_names import SoundNames
from soundloom.library.segment_table import SegmentTables
from soundloom.library.segments import SegmentRef
from soundloom.library.storage.indexing_note import UNFINISHED, unfinished_indexing
from soundloom.library.storage.library_lock import AddLock, require_library
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import Failure, FileNotice
from soundloom.library.summary import LibrarySummary
from soundloom.local_path import local_path
from soundloom.remote.locations import common_folder, inside

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.search.search_index import SearchIndex

__all__ = ["LibraryContents"]


class LibraryContents(SegmentTables):
    """The part of `soundloom.library.Library` that needs its tables and no model."""

    folder: Path
    settings: LibrarySettings
    roots: Roots
    _store: Store
    _index_cache: IndexCache
    _add_lock: AddLock
    _registry: RootRegistry
    _indexed: Callable[[LibrarySettings, int | None], IndexedLibrary]

    def __repr__(self) -> str:
        return repr(self._summary())

    def _repr_html_(self) -> str:
        return self._summary().html()

    def _summary(self) -> LibrarySummary:
        return LibrarySummary.of(self.folder, self.settings, self._store, self.roots)

    @contextmanager
    def adding(self, roots: Sequence[str] = (), workers: int | None = None) -> Iterator[IndexedLibrary]:
        """Hold the lock of adding; gives what an addition of rows that were embedded elsewhere works on.

        Args:
            roots: folders and files that the library remembers to be filled from.
            workers: how many files are read at a time; as many as there are processors if not given.

        Raises:
            LibraryError: another process is adding to the library, or it is no longer there.
        """
        with self._add_lock.held():
            if roots:
                self._registry.remember(roots)
            self._store.refresh()
            yield self._indexed(self.settings, workers)

    @property
    def annotations(self) -> LibraryAnnotations:
        """Annotations of the files, and where and when these were recorded."""
        return LibraryAnnotations(self.folder, self._store)

    def check_present(self) -> None:
        """Check that the library's folder is still there; see `require_library`."""
        require_library(self.folder)

    def check_filled(self) -> None:
        """Refuse a library without sounds, of which nothing can be drawn, grouped or compared.

        Raises:
            LibraryError: it holds none.
        """
        if not len(self):
            folder = shown(self.folder)
            raise LibraryError(f"{folder!r} holds no sounds: add some with soundloom index SOUNDS -l {quote(folder)}")

    @property
    def _current(self) -> Store:
        """The store; of a library at an address as it is there now."""
        if refresh(self.folder):
            self._store.refresh()
        return self._store

    @property
    def _tables(self) -> StoredTables:
        """What the store says of the files, without opening it if the search index says the same."""
        return StoredTables(self.folder, self._current)

    def __len__(self) -> int:
        """How many segments the library holds."""
        return self._tables.segments

    def files(self) -> list[str]:
        """The indexed files, sorted."""
        return sorted(self._current.files())

    def failures(self) -> list[Failure]:
        """The files that could not be indexed, and why."""
        return self._tables.failures()

    def notices(self) -> list[FileNotice]:
        """What was noticed of the indexed files when they were decoded, such as digital silence; by path.

        The first is of the library's folder where it is not indexed to the end; see `unfinished`.
        """
        unfinished = self.unfinished()
        of_library = [FileNotice(shown(self.folder), UNFINISHED, unfinished)] if unfinished else []
        return of_library + self._tables.notices()

    def unfinished(self) -> str:
        """When indexing was interrupted, how many files were left, and what goes on with it; empty if it was not."""
        return unfinished_indexing(self.folder)

    def totals(self) -> tuple[int, float]:
        """How many files are indexed, and how many seconds they last together."""
        durations = self._tables.durations()
        return len(durations), sum(durations.values())

    def index(self) -> SearchIndex:
        """The search index of the library as it is now, built if it is missing or stale; see `IndexCache.current`."""
        return self._index_cache.current()

    def rows(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Columns of the segments as an Arrow table, ordered by path and start.

        Args:
            columns: of path, start, end, duration, size, mtime_ns, hash, tags, embedding, notices, decoder (version).
            where: an SQL condition on them.

        Raises:
            QueryError: there is no such column, or the condition is none.
        """
        return self._current.sorted_rows(columns, where)

    def facets(self, fields: Sequence[str] = (), query: str | LibraryQuery = "") -> Facets:
        """How many files have each value of some fields, among those that the text and filters of a query admit.

        Args:
            fields: such as folder, tags, sample_rate, codec, hour; the usual ones if not given.
            query: as for `Library.select`.

        Raises:
            QueryError: as for `Library.select`, or there is no such field.
        """
        asked = LibraryQuery.of(query)
        return self._index_cache.use(lambda index: facets(index.fields, asked, fields, index.mask))

    def select(self, query: str | LibraryQuery) -> list[SegmentRef]:
        """Everything that the text and the filters of a query admit, as `tags` and `maps` take it; no model is asked.

        Returns:
            Files of which every segment is meant by their paths, and segments of the others.

        Raises:
            QueryError: as for `find`; or the query has sounds or words of the model.
        """
        return self._index_cache.use(lambda index: select(index, LibraryQuery.of(query)))

    def _query(self, asked: object, remarks: list[str] | None) -> LibraryQuery:
        """What `Library.find` is asked, as a query.

        Raises:
            QueryError: as for `read_query`; or it is nothing of that kind.
        """
        if isinstance(asked, LibraryQuery):
            return asked
        if isinstance(asked, str):
            return self.read_query(asked, remarks=remarks)
        if isinstance(asked, os.PathLike):
            return LibraryQuery(like=(QuerySound(Path(asked)),))
        raise QueryError(
            f"a query is text, a file or a LibraryQuery, got {type(asked).__name__}: Library.search takes waveforms, "
            "and search_embedding embeddings"
        )

    def read_query(
        self, *terms: str, files: bool = True, names_only: bool = False, remarks: list[str] | None = None
    ) -> LibraryQuery:
        """The query of terms as people write them: sounds, regions, names of sounds of the library, and text.

        Args:
            terms: what `soundloom search` takes; see `soundloom.library.search.terms.query_terms`.
            files: whether a term may be a file of this machine, too.
            names_only: as for `LibraryQuery`.
            remarks: a list to which is added how a name was taken.

        Raises:
            QueryError: a term that is meant as a sound, and is none.
        """
        names = SoundNames(self.folder, lambda: self._index_cache.current().rows["path"], self.failures)
        reader = QueryTerms(names, files=files, names_only=names_only)
        sounds, text = reader.read(terms)
        if remarks is not None:
            remarks += reader.remarks
        return LibraryQuery(like=sounds, text=text, names_only=names_only)

    def saved_query(self, name: str) -> LibraryQuery:
        """The search that somebody has saved in the page under a name, for `Library.find`.

        Raises:
            QueryError: there is none of that name, and those there are are named; or a sound of it is gone.
        """
        query, index = SavedSearches(self.folder).find(name), self.index()
        root = common_folder({inside(os.path.dirname(path)) for path in index.rows["path"].unique().to_pylist()})

        def sound(identity: str) -> QuerySound:
            (row,) = index.segments.rows_of_ids([identity])
            if row < 0:
                raise QueryError(f"a sound of the saved search {name!r} is not in the library any more: save it anew")
            (one,) = index.segments.at([row])
            return QuerySound(Path(os_path(one.path)), start=one.start, end=one.end)

        def folder(inner: str) -> str:
            return inner if not root else root if inner == os.curdir else inside(root) + inner

        return read_saved(query, sound, folder)

    def add_columns(self, table: str | os.PathLike[str]) -> ColumnReport:
        """Join the columns of a CSV, such as site or weather, to the files; see `column_table.add_columns`.

        They are fields as others are: for `LibraryQuery.where` and ``sort``, and for `facets`.

        Args:
            table: the CSV: a column ``path``, with as much of the end of a path as makes it unique, and any others.

        Raises:
            LibraryError: it cannot be read, has no column to add, or names no file; or another process is adding.
        """
        file = local_path(table, must_exist=True)
        with self._add_lock.held():
            report = add_columns(self.folder, self._hashes(), file)
            self._store.note_contents()
        return report

    def measure_levels(
        self, *, workers: int | None = None, progress: Callable[[FileProgress], None] | None = None
    ) -> int:
        """Measure peak and root mean square of the files that an earlier version of soundloom indexed.

        They are decoded, not embedded. Of files that are indexed now, levels are measured as they are embedded.

        Args:
            workers: how many files at a time; as many as there are processors if not given.
            progress: called after every file.

        Returns:
            How many files were measured. Those that are not there or cannot be decoded are left out.
        """
        with self._add_lock.held():
            return measure_levels(
                self.folder, self._hashes(), self.settings.decoding, workers or os.cpu_count() or 1, progress
            )

    def _hashes(self) -> dict[str, str]:
        """Path of every file -> hash of its content."""
        return {path: state.hash for path, state in self._store.files().items()}
