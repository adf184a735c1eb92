"""Buffered commits of embedded files: many files in a commit, but never one file in two.

A file that was edited in place keeps the tags of its old rows: a segment those of the segment that began at the same
second, a segment beyond them the tags that all of the old ones had. A new sound under the name of one that was missing
gets none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from soundloom.library.indexing.embed import Embedded
from soundloom.library.storage.segment_rows import FileNotice, FileState, segment_rows
from soundloom.library.storage.store import Store
from soundloom.library.tags.edit_log import ContentChange
from soundloom.library.tags.editor import TagEditor

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.indexing.sync import AddReport

__all__ = ["RowWriter"]

_FLUSH_ROWS = 4096
_FLUSH_SECONDS = 2.0


class RowWriter:
    """Collects the rows of embedded files and commits them.

    Args:
        store: the library's rows.
        tag_editor: the library's tags.
        known: the library's files before the first commit.
        table: path -> the tags that a table gives the file.
        report: counts what is written.
        shortest: the model's shortest input in seconds.
        reused: files that were missing when their root was last indexed.
        check: called before and after every commit; raises if the library is no longer there.

    Attributes:
        commits: how many commits were made.
    """

    def __init__(
        self,
        store: Store,
        tag_editor: TagEditor,
        known: Mapping[str, FileState],
        table: Mapping[str, Sequence[str]],
        report: AddReport,
        *,
        shortest: float,
        reused: Collection[str],
        check: Callable[[], None],
    ) -> None:
        self._store = store
        self._tag_editor = tag_editor
        self._known = known
        self._table = table
        self._report = report
        self._shortest = shortest
        self._reused = reused
        self._check = check
        self._decisions = tag_editor.decisions(known)
        self._new: list[Embedded] = []
        self._changed: list[Embedded] = []
        self._rows = 0
        self._flushed = time.monotonic()
        self.commits = 0

    def put(self, result: Embedded) -> None:
        """Take a file's embeddings; they are written at the next flush."""
        known, report = result.path in self._known, self._report
        (self._changed if known else self._new).append(result)
        report.changed += known
        report.new += not known
        self._rows += len(result.starts)
        report.segments += len(result.starts)
        report.seconds += max(result.ends)
        report.padded += max(result.ends) < self._shortest
        report.notices += [FileNotice(result.path, notice.code, notice.text) for notice in result.notices]
        if self._rows >= _FLUSH_ROWS or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit what was collected."""
        if self._changed:
            self._check()
            edited = [result for result in self._changed if result.path not in self._reused]
            before = {result.path: self._known[result.path].hash for result in edited}
            old_tags = self._store.tags(list(before))
            changes = [ContentChange(result.path, before[result.path], result.state.hash) for result in edited]
            self._tag_editor.hand_on([change for change in changes if change.before != change.after], self._known)
            rows = self._table_of(self._changed, old_tags)
            self._store.replace(rows, sorted(result.path for result in self._changed))
            self.commits += 1
            self._check()
        if self._new:
            self._check()
            self._store.append(self._table_of(self._new, {}))
            self.commits += 1
            self._check()
        self._changed, self._new, self._rows = [], [], 0
        self._flushed = time.monotonic()

    def _table_of(
        self, results: Sequence[Embedded], old_tags: Mapping[str, Mapping[float, frozenset[str]]]
    ) -> pa.Table:
        """The rows of files, with their tags."""
        import pyarrow as pa

        tables, tags = [], []
        for result in results:
            state = result.state
            tables.append(segment_rows(state, result.starts, result.ends, result.embeddings, (), result.notices))
            old = old_tags.get(state.path, {})
            common = frozenset.intersection(*old.values()) if old else frozenset()
            for start in result.starts:
                given = self._table.get(state.path)
                some = old.get(start, common) if given is None else frozenset(given)
                tags.append(sorted(self._decisions.apply(some, state.path, state.hash, start)))
        rows = pa.concat_tables(tables)
        place = rows.schema.get_field_index("tags")
        return rows.set_column(place, rows.schema.field(place), pa.array(tags, rows.schema.field(place).type))
