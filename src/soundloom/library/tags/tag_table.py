"""Tags from a table: a CSV with a column for the file and one for its tags.

The column of the file is called path, file, filename, file_name, name or fname, that of the tags tags, tag, labels,
label, keywords, category or class; several tags in a cell are separated by ``;`` ``,`` or ``|``, and several rows may
name one file. Dialects, and how a row names a file: `soundloom.file_tables`. A row that fits several files is left out
and reported, unless they are copies of each other, and so is a row that fits none.

A table adds to the tags that files have, and takes none away unless it replaces. Its tags belong to the content, as
those that `Library.tags` gives: copies of a file that a row names get them too.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

from soundloom.audio_suffixes import AUDIO_SUFFIXES
from soundloom.errors import FileTableError, LibraryError
from soundloom.file_tables import NAME_COLUMNS, FileMatcher, FileTable, decode_text, read_csv
from soundloom.library.storage.table_schema import FileState
from soundloom.system_errors import reason_of

__all__ = ["FileTags", "MatchedTags", "TagTable"]

_TAG_COLUMNS = ("tags", "tag", "labels", "label", "keywords", "category", "class")
_SEPARATORS = re.compile("[,;|]")


@dataclass(frozen=True)
class FileTags:
    """The tags that a table gives to files, and a record of what they changed.

    Attributes:
        tags: path -> tags.
        replace: whether they take the place of the tags that the file has, instead of being added to them.
        given: (path, tag) of every tag that a segment got by the table.
        removed: the same of every tag that a segment lost by it.
    """

    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    replace: bool = False
    given: set[tuple[str, str]] = field(default_factory=set)
    removed: set[tuple[str, str]] = field(default_factory=set)

    def of_contents(self, files: Mapping[str, FileState]) -> FileTags:
        """The same for all files that have the content of one that the table names; what is recorded is shared.

        Args:
            files: the files of the library, by path.
        """
        by_hash: dict[str, set[str]] = defaultdict(set)
        for path in self.tags.keys() & files.keys():
            by_hash[files[path].hash].update(self.tags[path])
        tags = {path: sorted(by_hash[state.hash]) for path, state in files.items() if state.hash in by_hash}
        return FileTags(tags, self.replace, self.given, self.removed)

    def apply(self, tags: frozenset[str], path: str) -> frozenset[str]:
        """The tags of a segment with those of the table."""
        if path not in self.tags:
            return tags
        return frozenset(self.tags[path]) if self.replace else tags.union(self.tags[path])

    def record(self, path: str, before: frozenset[str], after: frozenset[str]) -> None:
        """Record what the table changed of a segment's tags."""
        self.given.update((path, tag) for tag in after - before)
        self.removed.update((path, tag) for tag in before - after)


@dataclass(frozen=True)
class MatchedTags:
    """A table of tags, resolved to files.

    Attributes:
        tags: path -> tags.
        ambiguous: for every row that fits several files, a line that says which.
        unmatched: the names in rows that fit no file, with the reason where it is known.
        rows: how many rows fit one file.
    """

    tags: dict[str, list[str]]
    ambiguous: list[str]
    unmatched: list[str]
    rows: int


class TagTable:
    """Tags by file, read from a CSV.

    Args:
        file: the table.
        replace: take from the files that the table names all tags that it does not give them, but for those that
            `Library.tags` gave. By default its tags are added.

    Raises:
        LibraryError: the table is missing, is not text or lacks a column.
    """

    def __init__(self, file: str | PathLike[str], *, replace: bool = False) -> None:
        self.replace = replace
        self._name = fspath(file)
        self._folder = Path(file).resolve().parent
        self._tags: dict[str, set[str]] = {}
        self._lines: dict[str, int] = {}
        self._rows: Counter[str] = Counter()
        self._cut: dict[str, str] = {}
        try:
            table = read_csv(decode_text(Path(file).read_bytes()), [NAME_COLUMNS, _TAG_COLUMNS])
            name_column, tag_column = table.column(NAME_COLUMNS) or 0, table.column(_TAG_COLUMNS)
            for number, (row, line) in enumerate(zip(table.rows, table.lines, strict=True)):
                words = {word.strip() for cell in table.cells(number, tag_column) for word in _SEPARATORS.split(cell)}
                if name_column < len(row) and row[name_column]:
                    self._tags.setdefault(row[name_column], set()).update(words - {""})
                    self._lines.setdefault(row[name_column], line)
                    self._rows[row[name_column]] += 1
                    self._note_cut_name(table, number, words)
        except OSError as error:
            raise LibraryError(f"tags file {self._name!r} cannot be read: {reason_of(error)}") from None
        except FileTableError as error:
            raise LibraryError(f"tags file {self._name!r} {error}") from None

    def _note_cut_name(self, table: FileTable, number: int, words: Iterable[str]) -> None:
        """Note a row whose name was cut at a delimiter: it has too many cells, and a tag that ends like a sound."""
        row, width = table.rows[number], len(table.columns)
        if width and len(row) > width and any(Path(word).suffix.lower() in AUDIO_SUFFIXES for word in words):
            name = row[table.column(NAME_COLUMNS) or 0]
            self._cut[name] = (
                f"{name!r} (line {table.lines[number]} has {len(row)} cells where the header has {width}: "
                "put a path that holds the delimiter in quotes)"
            )

    def __len__(self) -> int:
        return len(self._tags)

    def match(
        self, paths: Collection[str], are_copies: Callable[[Sequence[str]], bool] = lambda _files: False
    ) -> MatchedTags:
        """The tags of those of the files that the table names.

        Args:
            paths: the files.
            are_copies: whether files have one content: a row that fits them stands for the first, and so for all.

        Raises:
            LibraryError: no row fits any of them.
        """
        matcher = FileMatcher(paths, self._tags, self._folder)
        tags: dict[str, set[str]] = {}
        ambiguous, unmatched, rows = [], [], 0
        for name, words in self._tags.items():
            files = () if name in self._cut else matcher.match(name)
            if len(files) == 1 or (files and are_copies(files)):
                rows += self._rows[name]
                tags.setdefault(files[0], set()).update(words)
            elif files:
                shown = ", ".join(map(repr, files[:3])) + (", ..." if len(files) > 3 else "")
                ambiguous.append(f"{name!r} (line {self._lines[name]}) fits {len(files)} files: {shown}")
            else:
                unmatched.append(self._cut.get(name, name))
        if not tags and not ambiguous:
            example = next(iter(self._tags), "nothing")
            raise LibraryError(
                f"tags file {self._name!r} names none of the sounds (its first row is "
                f"{self._cut.get(example, repr(example))}): "
                "its paths should be relative to its own folder, or end like the sounds' paths"
            )
        return MatchedTags({path: sorted(words) for path, words in tags.items()}, ambiguous, unmatched, rows)
