"""Contents of a library as it is stored: its files, segments, failures and notices, read from its tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.library.indexing.library_roots import Roots
from soundloom.library.search.fields.facets import Facets
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.search.library_query import LibraryQuery, facets
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.library.storage.library_lock import require_library
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import Failure, FileNotice
from soundloom.library.summary import LibrarySummary

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LibraryContents"]


class LibraryContents:
    """The part of `soundloom.library.Library` that reads its tables and needs no model."""

    folder: Path
    settings: LibrarySettings
    roots: Roots
    _store: Store
    _index_cache: IndexCache

    def __repr__(self) -> str:
        return repr(self._summary())

    def _repr_html_(self) -> str:
        return self._summary().html()

    def _summary(self) -> LibrarySummary:
        return LibrarySummary.of(self.folder, self.settings, self._store, self.roots)

    def check_present(self) -> None:
        """Check that the library's folder is still there; see `require_library`."""
        require_library(self.folder)

    def __len__(self) -> int:
        """How many segments the library holds."""
        return self._store.count

    def files(self) -> list[str]:
        """The indexed files, sorted."""
        return sorted(self._store.files())

    def failures(self) -> list[Failure]:
        """The files that could not be indexed, and why."""
        return self._store.failures()

    def notices(self) -> list[FileNotice]:
        """What was noticed of the indexed files when they were decoded, such as digital silence; by path."""
        return self._store.notices()

    def totals(self) -> tuple[int, float]:
        """How many files are indexed, and how many seconds they last together."""
        durations = self._store.durations()
        return len(durations), sum(durations.values())

    def rows(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Columns of the segments as an Arrow table, ordered by path and start.

        Args:
            columns: of path, start, end, duration, size, mtime_ns, hash, tags, embedding, notices, decoder (version).
            where: an SQL condition on them.
        """
        return self._store.sorted_rows(columns, where)

    def facets(self, fields: Sequence[str] = (), query: str | LibraryQuery = "") -> Facets:
        """How many files have each value of some fields, among those that the text and filters of a query admit.

        Args:
            fields: such as folder, tags, sample_rate, codec, hour; the usual ones if not given.
            query: as for `Library.select`.

        Raises:
            QueryError: as for `Library.select`, or there is no such field.
        """
        asked, facts = LibraryQuery.of(query), read_facts_table(self.folder)
        return self._index_cache.use(lambda index: facets(index.rows, asked, fields, facts=facts, in_store=index.mask))
