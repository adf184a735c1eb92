"""Tag editor: tag edits, logged, written to the rows in one commit, and undone.

A row's ``tags`` are those of tables (`Library.add` with tags) and, on top of them, the edits made here. The edits are
also kept as decisions in ``tags.jsonl``, because a table may replace the tags of the files that it names and a changed
file gets new rows: every `Library.add` applies the decisions to the rows once more. So

- a decision is about a content, by its hash: it follows the sound through renames and swaps, and holds for copies;
- a file edited in place keeps its decisions; a new sound under an old name does not get them;
- a decision about a file counts for all its segments, also those it gets later; one about a segment counts for the
  segment that begins at the same second, if the file still has one;
- of two decisions about the same tag and segment the later counts.

An edit is written to the log first and then to the store: if the process is killed in between, the next edit or
`Library.add` applies it; if the commit fails, the log is rolled back. Edits of several processes wait for each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from soundloom.errors import LibraryError
from soundloom.library.library_files import TAGS_FILE, TAGS_LOCK
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.segments import SegmentRef, Segments
from soundloom.library.storage.library_lock import AddLock, library_lock
from soundloom.library.storage.sql import is_in
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState
from soundloom.library.tags.carry_over import carry_over_tags, gone_tags
from soundloom.library.tags.edit_log import ContentChange, Decision, DecisionLog, Decisions, Restoration
from soundloom.library.tags.tag_names import checked_tag, stripped_tag
from soundloom.library.tags.tag_table import FileTags

__all__ = ["Edit", "TagEditor"]

_FEW = 500
"""Files or contents whose rows are found by an SQL condition; for more, reading every row is quicker."""
_COMMIT_ROWS = 2**16
"""Rows whose tags one commit changes while a library is brought up to date."""

_FRAGMENTS = 64
"""Fragments of the store that edits may leave: each slows down every scan, and takes disk space until it is joined."""

Tags = frozenset[str]


@dataclass(frozen=True)
class Edit:
    """A change of tags that was made.

    Attributes:
        id: its name in the log.
        changed: how many segments have other tags now; 0 if all was so already.
        copies: the changed files that were not named, but have the content of one that was: they share its tags.
        changed_copies: how many of the changed segments are of these files.
    """

    id: str
    changed: int
    copies: tuple[str, ...]
    changed_copies: int
    _revert: Callable[[], Edit] = field(repr=False, compare=False)

    def revert(self) -> Edit:
        """Take the change back; what was done since to other tags and segments stays.

        Returns:
            The edit that took it back, which can be reverted in turn.
        """
        return self._revert()


class _Row(NamedTuple):
    path: str
    start: float
    end: float
    tags: Tags
    hash: str
    row_id: int


class TagEditor:
    """The tags of one library's rows, and the log of edits.

    Args:
        folder: the library's.
        store: the library's rows.
        index: the library's search index, which shows the tags.
        add_lock: held by a process that adds files.
    """

    def __init__(self, folder: Path, store: Store, index: IndexCache, add_lock: AddLock) -> None:
        self._folder = folder
        self._store = store
        self._index = index
        self._add_lock = add_lock
        self._log = DecisionLog(folder / TAGS_FILE)

    def edit(
        self, segments: Segments, changes: Mapping[str, tuple[Sequence[SegmentRef], Sequence[SegmentRef]]]
    ) -> Edit:
        """Add and remove tags; see `LibraryTags.edit`.

        Args:
            segments: resolve the references.
            changes: tag -> the segments that shall have it, those that shall not.
        """
        decisions = []
        for tag, (add, remove) in changes.items():
            given, taken = segments.resolve(add), segments.resolve(remove)
            decisions += [Decision(checked_tag(tag), True, path, starts) for path, starts in given.items()]
            decisions += [Decision(stripped_tag(tag), False, path, starts) for path, starts in taken.items()]
        return self._decide(decisions)

    def set(self, segments: Segments, reference: SegmentRef, tags: Iterable[str]) -> Edit:
        """Make these the only tags of a file or segment; see `LibraryTags.set`."""
        wanted = {checked_tag(tag) for tag in tags}
        meant = segments.resolve([reference])
        now = {
            path: frozenset().union(*(row.tags for row in self._rows([path]) if starts is None or row.start in starts))
            for path, starts in meant.items()
        }
        decisions = [
            Decision(tag, tag in wanted, path, starts)
            for path, starts in meant.items()
            for tag in sorted(wanted | now[path])
        ]
        return self._decide(decisions)

    def decisions(self, files: Mapping[str, FileState]) -> Decisions:
        """The decisions in force.

        Args:
            files: the files of the library.

        Raises:
            LibraryError: the log is damaged.
        """
        return self._log.in_force(files)

    def hand_on(self, changes: Sequence[ContentChange], files: Mapping[str, FileState]) -> None:
        """Before a commit: let the decisions about files that were edited in place hold for their new content.

        Args:
            changes: the files' hashes before and after.
            files: the files of the library before the commit.
        """
        with self._locked():
            self._log.adopt_paths(files)
            decisions = self._log.in_force(files)
            self._log.hand_on(change for change in changes if decisions.concern(change.path, change.before))

    def keep_gone(self, paths: Iterable[str]) -> None:
        """Before a commit that removes the rows of files: keep the tags of tables for when their contents come back."""
        leaving = list(paths)
        if not leaving:  # of a million files, those that are known take seconds to read
            return
        with self._locked():
            files = self._store.files()
            self._log.adopt_paths(files)
            gone = {path: files[path].hash for path in leaving if path in files}
            self._log.keep_gone(gone_tags(self._store, self._log.in_force(files), gone))

    def reconcile(self, table: FileTags | None = None) -> int:
        """Bring the tags of all rows up to date with the log, and with a table of tags.

        Args:
            table: the tags that a table gives to files, and so to their copies; it records what it changes.

        Returns:
            How many rows have other tags now.
        """
        with self._locked():
            files = self._store.files()
            self._log.adopt_paths(files)
            decisions = self._log.in_force(files)
            restorations = self._log.pending()
            concerned = {path for path, state in files.items() if decisions.concern(path, state.hash)}
            restored = {one.hash for one in restorations}
            concerned |= {path for path, state in files.items() if state.hash in restored}
            changes = {}
            table = (table or FileTags()).of_contents(files)
            for row in self._rows(concerned | table.tags.keys()):
                before = _restored(row, restorations)
                given = table.apply(before, row.path, row.start, row.end)
                tags = decisions.apply(given, row.path, row.hash, row.start)
                table.record(row.path, decisions.apply(before, row.path, row.hash, row.start), tags)
                if tags != row.tags:
                    changes[row] = tags
            rows = sorted(changes)
            for first in range(0, len(rows), _COMMIT_ROWS):
                self._write({row: changes[row] for row in rows[first : first + _COMMIT_ROWS]})
            if self._log.is_pending:
                self._log.mark_applied()
        return len(changes)

    def carry_over(self, store: Store, files: Mapping[str, FileState]) -> None:
        """Give the rows of the store that is to replace the library's their tags; the caller holds ``tags.lock``.

        Tags of contents that it does not hold stay in the log, and are given back when the content is indexed again.

        Args:
            store: the new store.
            files: the files of the library so far.
        """
        self._log.keep_gone(carry_over_tags(self._store, store, self._log.in_force(files)))

    def _decide(self, decisions: Sequence[Decision]) -> Edit:
        self._apply_pending()
        with self._locked():
            hashes = {row.path: row.hash for row in self._rows({decision.path for decision in decisions})}
            decisions = [decision.of_content(hashes.get(decision.path, "")) for decision in decisions]
            _refuse_contradictions(decisions)
            rows = self._rows_of_contents({decision.hash for decision in decisions})
            by_hash: dict[str, list[tuple[int, Decision]]] = defaultdict(list)
            for order, decision in enumerate(decisions):
                by_hash[decision.hash].append((order, decision))
            latest = Decisions(by_hash, {})
            changes = {
                row: tags for row in rows if (tags := latest.apply(row.tags, row.path, row.hash, row.start)) != row.tags
            }
            identity = self._commit(lambda: self._log.append(decisions), changes)
        copies = {row.path for row in changes} - {decision.path for decision in decisions}
        return self._edit(identity, changes, [row for row in rows if row not in changes], copies)

    def _edit(
        self, identity: str, changes: Mapping[_Row, Tags], unchanged: Iterable[_Row], copies: Collection[str]
    ) -> Edit:
        done = _RowChanges(changes, unchanged)

        def revert() -> Edit:
            self._apply_pending()
            with self._locked():
                origins = self._log.origins()
                later = {after for after, before in origins.items() if before & done.hashes}
                rows = self._rows_of_contents(done.hashes | later)
                back = {}
                for row in rows:
                    given, taken = done.of(row, origins.get(row.hash, set()))
                    if (tags := (row.tags - given) | taken) != row.tags:
                        back[row] = tags
                undone = self._commit(lambda: self._log.undo(identity, _restorations(back)), back)
            return self._edit(undone, back, [row for row in rows if row not in back], copies)

        return Edit(identity, len(changes), tuple(sorted(copies)), sum(row.path in copies for row in changes), revert)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of edits, and see what other processes have committed."""
        with library_lock(self._folder, TAGS_LOCK):
            self._store.refresh()
            yield

    def _rows(self, paths: Iterable[str]) -> list[_Row]:
        """The rows of files, as they are in the store now."""
        wanted = set(paths)
        return [row for row in self._scan("path", wanted) if row.path in wanted]

    def _rows_of_contents(self, hashes: Iterable[str]) -> list[_Row]:
        """The rows of all files with some contents, as they are in the store now."""
        wanted = set(hashes)
        return [row for row in self._scan("hash", wanted) if row.hash in wanted]

    def _scan(self, column: str, values: Collection[str]) -> Iterable[_Row]:
        if not values:
            return
        columns = ["path", "start", "end", "tags", "hash"]
        found = self._index.stored_ids(column, values) if len(values) <= _FEW else None
        if found is not None:
            batches: Iterable[Any] = [self._store.rows_by_id(found, columns)] if len(found) else []
        else:
            where = is_in(column, sorted(values)) if len(values) <= _FEW else None
            batches = self._store.scan(columns, where, row_ids=True)
        for batch in batches:
            rows = batch.select([*columns, "_rowid"]).to_pydict().values()
            for path, start, end, tags, digest, row_id in zip(*rows, strict=True):
                yield _Row(path, start, end, frozenset(tags or ()), digest, row_id)

    def _apply_pending(self) -> None:
        """Apply what a process that was killed has logged and not committed."""
        if self._log.is_pending:
            self.reconcile()

    def _commit(self, write_log: Callable[[], str], changes: Mapping[_Row, Tags]) -> str:
        """Write to the log, then to the store. Returns the edit's id."""
        before, size = self._store.version, self._log.size
        identity = write_log()
        try:
            self._write(changes)
        except Exception:
            if self._store.version == before:
                self._log.roll_back(size)
            raise
        self._log.mark_applied()
        if changes and self._store.version == before + 1:
            self._join_fragments(before + 1)
            self._index.refresh_tags(before)
        return identity

    def _join_fragments(self, version: int) -> None:
        """Join the fragments that many small edits have left, while the store is still of this version."""
        if self._store.small_fragments <= _FRAGMENTS:
            return
        # With the lock of adding no other process writes rows: the index still shows what the store holds. A process
        # that is adding files joins the fragments in the end.
        with self._add_lock.if_free() as free:
            if free and self._store.version == version:
                self._store.compact()

    def _write(self, changes: Mapping[_Row, Tags]) -> None:
        if changes:
            tags = {row[:2]: sorted(some) for row, some in changes.items()}
            self._store.write_tags(tags, [row.row_id for row in changes])


class _RowChanges:
    """What an edit gave to and took from rows, for rows that may have other paths or contents since.

    Args:
        changes: the rows before the edit, and their tags after it.
        unchanged: rows of the same contents that it left as they were.
    """

    def __init__(self, changes: Mapping[_Row, Tags], unchanged: Iterable[_Row]) -> None:
        self._by_row = {
            (row.hash, row.start, row.path): (tags - row.tags, row.tags - tags) for row, tags in changes.items()
        }
        self._by_row.update({(row.hash, row.start, row.path): (Tags(), Tags()) for row in unchanged})
        self._by_segment = {(digest, start): some for (digest, start, _), some in self._by_row.items() if any(some)}
        self._by_content: dict[str, tuple[Tags, Tags]] = {}
        for (digest, _, _), (given, taken) in self._by_row.items():
            before = self._by_content.get(digest, (given, taken))
            self._by_content[digest] = before[0] & given, before[1] & taken

    @property
    def hashes(self) -> set[str]:
        """The contents of which some row was changed."""
        return {digest for digest, _ in self._by_segment}

    def of(self, row: _Row, origins: Collection[str]) -> tuple[Tags, Tags]:
        """What a row was given, and what was taken from it.

        Args:
            row: the row as it is now.
            origins: contents that its file had before it was edited in place.
        """
        for digest in (row.hash, *sorted(origins)):
            for some in (self._by_row.get((digest, row.start, row.path)), self._by_segment.get((digest, row.start))):
                if some is not None:
                    return some
        # A segment that the file has got since: what was done to all of its segments holds for it.
        return next(
            (self._by_content[digest] for digest in sorted(origins) if digest in self._by_content), (Tags(), Tags())
        )


def _restored(row: _Row, restorations: Iterable[Restoration]) -> Tags:
    """The tags of a row after undoings that were logged and not committed."""
    tags = row.tags
    for one in restorations:
        if one.hash == row.hash and row.start in one.starts:
            tags = (tags - one.remove) | one.add
    return tags


def _restorations(changes: Mapping[_Row, Tags]) -> list[Restoration]:
    """Changes of rows as the log keeps them: the segments of a content that change alike together."""
    starts: dict[tuple[str, Tags, Tags], set[float]] = defaultdict(set)
    for row, tags in changes.items():
        starts[row.hash, tags - row.tags, row.tags - tags].add(row.start)
    return [Restoration(digest, frozenset(some), add, remove) for (digest, add, remove), some in starts.items()]


def _refuse_contradictions(decisions: Sequence[Decision]) -> None:
    """Refuse one edit that gives a tag to a content and takes it from the same."""
    wanted: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for one in decisions:
        if one.wanted:
            wanted[one.tag, one.hash].append(one)
    for one in decisions:
        for other in [] if one.wanted else wanted[one.tag, one.hash]:
            if one.starts is None or other.starts is None or one.starts & other.starts:
                same = "" if one.path == other.path else f", which is the same sound as {other.path!r},"
                raise LibraryError(f"{one.path!r}{same} is marked both to have the tag {one.tag!r} and not to have it")
