"""Tags that a person gives: written to the library in one commit, never into the audio, and taken back as easily.

A row's ``tags`` are what a table said (`Library.add` with tags) and, on top of it, what a person decided here. The
decisions are also kept apart, in ``tags.jsonl``, one edit a line, because a table replaces all tags of the files that
it names and a changed file gets new rows: after every `Library.add` the decisions are laid over the rows once more. So

- a decision outlives tables, re-indexing and, by the hash of its content, a move of the file;
- a decision about a file counts for all its segments, also those it gets later; one about a segment counts for the
  segment that begins at the same second, if the file still has one;
- of two decisions about the same tag and segment the later counts.

An edit goes to the log first and then to the store: killed in between, the next `Library.add` brings it in. Edits of
several processes wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from soundloom.errors import LibraryError
from soundloom.library.segments import Mark, Segments
from soundloom.library.storage.store import Store
from soundloom.library.tags.edit_log import Decision, DecisionLog

__all__ = ["Edit", "Tagging", "checked_tag"]

_FEW = 500
"""Files whose rows are found by their paths; for more, reading every row is quicker."""

_LONGEST = 200

Tags = frozenset[str]


@dataclass(frozen=True)
class Edit:
    """A change of tags that was made.

    Attributes:
        id: its name in the log.
        changed: how many segments have other tags now; 0 if all was so already.
    """

    id: str
    changed: int
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
    tags: Tags
    hash: str


def checked_tag(tag: str) -> str:
    """The tag without spaces around it.

    Raises:
        LibraryError: it is empty, too long, or holds what a table of tags or a label track could not.
    """
    tag = tag.strip()
    if not tag or len(tag) > _LONGEST or any(letter in ",;" or not letter.isprintable() for letter in tag):
        raise LibraryError(
            f"{tag!r} cannot be a tag: a tag is 1 to {_LONGEST} printable characters without commas and semicolons"
        )
    return tag


class Tagging:
    """The tags of one library, and the log of what persons decided about them.

    Args:
        folder: the library's.
        store: the library's rows.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._store = store
        self._log = DecisionLog(folder / "tags.jsonl")
        self._lock = FileLock(folder / "tags.lock")

    def edit(
        self,
        segments: Segments,
        changes: Mapping[str, tuple[Sequence[Mark], Sequence[Mark]]],
        committed: Callable[[int], None],
    ) -> Edit:
        """Give and take tags; see `Library.edit_tag`.

        Args:
            segments: where the marks point.
            changes: tag -> the marks that shall have it, those that shall not.
            committed: told the store's version before the commit, if nobody else has committed meanwhile.
        """
        decisions = []
        for tag, (add, remove) in changes.items():
            given, taken = segments.meant(add), segments.meant(remove)
            for path in given.keys() & taken.keys():
                some, others = given[path], taken[path]
                if some is None or others is None or some & others:
                    raise LibraryError(f"{path!r} is marked both to have the tag {tag!r} and not to have it")
            decisions += [Decision(checked_tag(tag), True, path, starts) for path, starts in given.items()]
            decisions += [Decision(checked_tag(tag), False, path, starts) for path, starts in taken.items()]
        return self._decide(decisions, committed)

    def set(self, segments: Segments, mark: Mark, tags: Iterable[str], committed: Callable[[int], None]) -> Edit:
        """Make these the only tags of what is marked; see `Library.set_tags`."""
        wanted = {checked_tag(tag) for tag in tags}
        meant = segments.meant([mark])
        now = {
            path: frozenset().union(*(row.tags for row in self._rows([path]) if starts is None or row.start in starts))
            for path, starts in meant.items()
        }
        decisions = [
            Decision(tag, tag in wanted, path, starts)
            for path, starts in meant.items()
            for tag in sorted(wanted | now[path])
        ]
        return self._decide(decisions, committed)

    def lay_over(self) -> None:
        """Bring what persons decided into rows that tables and changed files have since been written to."""
        with self._lock:
            by_path = self._log.standing(self._store.files)
            if by_path:
                self._write(self._changes(by_path))

    def _decide(self, decisions: Sequence[Decision], committed: Callable[[int], None]) -> Edit:
        by_path: dict[str, list[Decision]] = {}
        for decision in decisions:
            by_path.setdefault(decision.path, []).append(decision)
        with self._lock:
            rows = self._rows(by_path)
            hashes = {row.path: row.hash for row in rows}
            number = self._log.append([decision.of_content(hashes.get(decision.path, "")) for decision in decisions])
            changes = self._changes(by_path, rows)
            self._commit(changes, committed)
        return self._edit(number, changes, committed)

    def _edit(self, number: str, changes: dict[_Row, Tags], committed: Callable[[int], None]) -> Edit:
        given = {(row.path, row.start): after - row.tags for row, after in changes.items()}
        taken = {(row.path, row.start): row.tags - after for row, after in changes.items()}

        def revert() -> Edit:
            with self._lock:
                undone = self._log.undo(number)
                rows = [row for row in self._rows({path for path, _ in given}) if (row.path, row.start) in given]
                back = {row: (row.tags - given[row[:2]]) | taken[row[:2]] for row in rows}
                back = {row: after for row, after in back.items() if after != row.tags}
                self._commit(back, committed)
            return self._edit(undone, back, committed)

        return Edit(number, len(changes), revert)

    def _changes(
        self, by_path: Mapping[str, Sequence[Decision]], rows: Iterable[_Row] | None = None
    ) -> dict[_Row, Tags]:
        """The rows whose tags are not as decided, and the tags they shall have."""
        changes = {}
        for row in self._rows(by_path) if rows is None else rows:
            tags = row.tags
            for decision in by_path.get(row.path, ()):
                if decision.starts is None or row.start in decision.starts:
                    tags = tags | {decision.tag} if decision.wanted else tags - {decision.tag}
            if tags != row.tags:
                changes[row] = tags
        return changes

    def _rows(self, paths: Iterable[str]) -> list[_Row]:
        """The rows of files, as they are in the store now."""
        wanted = set(paths)
        where = None
        if len(wanted) <= _FEW:
            literals = ("'" + path.replace("'", "''") + "'" for path in sorted(wanted))
            where = f"path IN ({', '.join(literals)})" if wanted else "false"
        return [
            _Row(path, start, frozenset(tags or ()), digest)
            for batch in self._store.scan(["path", "start", "tags", "hash"], where)
            for path, start, tags, digest in zip(*batch.to_pydict().values(), strict=True)
            if path in wanted
        ]

    def _commit(self, changes: Mapping[_Row, Tags], committed: Callable[[int], None]) -> None:
        before = self._store.version
        self._write(changes)
        if changes and self._store.version == before + 1:
            committed(before)

    def _write(self, changes: Mapping[_Row, Tags]) -> None:
        if changes:
            self._store.write_tags({row[:2]: sorted(tags) for row, tags in changes.items()})
