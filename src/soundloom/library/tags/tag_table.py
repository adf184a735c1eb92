"""Tags from a table: a CSV with a column for the file and one for its tags.

The column of the file is called path, file, filename, file_name, name or fname, that of the tags tags, tag, labels,
label, keywords, category or class; several tags in a cell are separated by ``;`` ``,`` or ``|``, and several rows may
name one file. Dialects, and how a row names a file: `soundloom.file_tables`. A row that fits several files is left out
and reported, and so is a row that fits none.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from soundloom.errors import FileTableError, LibraryError
from soundloom.file_tables import NAME_COLUMNS, FileMatcher, decode_text, read_csv

__all__ = ["MatchedTags", "TagTable"]

_TAG_COLUMNS = ("tags", "tag", "labels", "label", "keywords", "category", "class")
_SEPARATORS = re.compile("[,;|]")


@dataclass(frozen=True)
class MatchedTags:
    """A table of tags, resolved to files.

    Attributes:
        tags: path -> tags.
        ambiguous: for every row that fits several files, a line that says which.
        unmatched: the names in rows that fit no file.
    """

    tags: dict[str, list[str]]
    ambiguous: list[str]
    unmatched: list[str]


class TagTable:
    """Tags by file, read from a CSV.

    Args:
        file: the table.

    Raises:
        LibraryError: the table is missing, is not text or lacks a column.
    """

    def __init__(self, file: str | PathLike[str]) -> None:
        self._name = fspath(file)
        self._folder = Path(file).resolve().parent
        self._tags: dict[str, set[str]] = {}
        self._lines: dict[str, int] = {}
        try:
            table = read_csv(decode_text(Path(file).read_bytes()), [NAME_COLUMNS, _TAG_COLUMNS])
            name_column, tag_column = table.column(NAME_COLUMNS) or 0, table.column(_TAG_COLUMNS)
            for number, (row, line) in enumerate(zip(table.rows, table.lines, strict=True)):
                words = {word.strip() for cell in table.cells(number, tag_column) for word in _SEPARATORS.split(cell)}
                if name_column < len(row) and row[name_column]:
                    self._tags.setdefault(row[name_column], set()).update(words - {""})
                    self._lines.setdefault(row[name_column], line)
        except OSError as error:
            raise LibraryError(f"tags file {self._name!r} cannot be read: {error.strerror}") from None
        except FileTableError as error:
            raise LibraryError(f"tags file {self._name!r} {error}") from None

    def __len__(self) -> int:
        return len(self._tags)

    def match(self, paths: Collection[str]) -> MatchedTags:
        """The tags of those of the files that the table names.

        Raises:
            LibraryError: no row fits any of them.
        """
        matcher = FileMatcher(paths, self._tags, self._folder)
        tags: dict[str, set[str]] = {}
        ambiguous, unmatched = [], []
        for name, words in self._tags.items():
            files = matcher.match(name)
            if len(files) == 1:
                tags.setdefault(files[0], set()).update(words)
            elif files:
                shown = ", ".join(map(repr, files[:3])) + (", ..." if len(files) > 3 else "")
                ambiguous.append(f"{name!r} (line {self._lines[name]}) fits {len(files)} files: {shown}")
            else:
                unmatched.append(name)
        if not tags and not ambiguous:
            example = next(iter(self._tags), "nothing")
            raise LibraryError(
                f"tags file {self._name!r} names none of the sounds (its first row is {example!r}): "
                "its paths should be relative to its own folder, or end like the sounds' paths"
            )
        return MatchedTags({path: sorted(words) for path, words in tags.items()}, ambiguous, unmatched)
