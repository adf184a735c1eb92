"""Tags from a table: a CSV with a column for the file and one for its tags.

The column of the file is called path, file, filename, file_name, name or fname, that of the tags tags, tag, labels,
label, keywords, category or class; several tags in a cell are separated by ``;`` ``,`` or ``|``, and several rows may
name one file. Where there are columns start and end, in seconds, a row is about the segments that `SegmentRef` means by
that region, and its cell is one label: one that holds a separator becomes several tags all the same, as a tag cannot
hold it, and is reported. Dialects, and how a row names a file: `soundloom.file_tables`. A row that fits several files
is left out and reported, unless they are copies of each other, and so is a row that fits none.

A table adds to the tags that files have, and takes none away unless it replaces. Its tags belong to the content, as
those that `Library.tags` gives: copies of a file that a row names get them too.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

from soundloom.annotations.delimited_text import seconds
from soundloom.audio_suffixes import AUDIO_SUFFIXES
from soundloom.errors import FileTableError, LibraryError
from soundloom.file_tables import NAME_COLUMNS, FileMatcher, FileTable, decode_text, read_csv
from soundloom.library.segments import lies_in
from soundloom.library.storage.table_schema import FileState
from soundloom.library.tags.tag_names import SEPARATORS
from soundloom.system_errors import reason_of

__all__ = ["FileTags", "MatchedTags", "TagTable"]

_STARTS = ("start", "start_s", "start_(s)", "start_time", "onset")
_ENDS = ("end", "end_s", "end_(s)", "end_time", "offset")
_TAG_COLUMNS = ("tags", "tag", "labels", "label", "keywords", "category", "class")
_ONE_EACH = ("tag", "label", "category", "class")
_SEPARATORS = re.compile(f"[{re.escape(SEPARATORS)}]")

Region = tuple[float, float]
_WHOLE: Region = (0.0, math.inf)


@dataclass(frozen=True)
class FileTags:
    """The tags that a table gives to files, and a record of what they changed.

    Attributes:
        tags: path -> region in seconds -> tags; the whole file is the region from 0 without an end.
        replace: whether they take the place of the tags that the file has, instead of being added to them.
        given: (path, tag) of every tag that a segment got by the table.
        removed: the same of every tag that a segment lost by it.
        reached: (path, region) of every region in which a segment lies.
    """

    tags: Mapping[str, Mapping[Region, Collection[str]]] = field(default_factory=dict)
    replace: bool = False
    given: set[tuple[str, str]] = field(default_factory=set)
    removed: set[tuple[str, str]] = field(default_factory=set)
    reached: set[tuple[str, Region]] = field(default_factory=set)

    def of_contents(self, files: Mapping[str, FileState]) -> FileTags:
        """The same for all files that have the content of one that the table names; what is recorded is shared.

        Args:
            files: the files of the library, by path.
        """
        by_hash: dict[str, dict[Region, set[str]]] = defaultdict(lambda: defaultdict(set))
        for path in self.tags.keys() & files.keys():
            for region, words in self.tags[path].items():
                by_hash[files[path].hash][region].update(words)
        tags = {path: by_hash[state.hash] for path, state in files.items() if state.hash in by_hash}
        return replace(self, tags=tags)

    def apply(self, tags: frozenset[str], path: str, start: float, end: float) -> frozenset[str]:
        """The tags of a segment with those of the table."""
        if path not in self.tags:
            return tags
        regions = [one for one in self.tags[path] if one == _WHOLE or lies_in(start, end, *one)]
        self.reached.update((path, region) for region in regions)
        given = frozenset(tag for region in regions for tag in self.tags[path][region])
        return given if self.replace else tags | given

    def beyond(self, known: Collection[str]) -> list[str]:
        """The regions in which no segment lies, of files that are known, in words."""
        return [
            f"{path}: {region[0]:g} to {region[1]:g} s"
            for path in sorted(self.tags.keys() & set(known))
            for region in sorted(self.tags[path])
            if (path, region) not in self.reached
        ]

    def record(self, path: str, before: frozenset[str], after: frozenset[str]) -> None:
        """Record what the table changed of a segment's tags."""
        self.given.update((path, tag) for tag in after - before)
        self.removed.update((path, tag) for tag in before - after)


@dataclass(frozen=True)
class MatchedTags:
    """A table of tags, resolved to files.

    Attributes:
        tags: path -> region -> tags, as `FileTags` has them.
        ambiguous: for every row that fits several files, a line that says which.
        unmatched: the names in rows that fit no file, with the reason where it is known.
        rows: how many rows fit one file.
    """

    tags: dict[str, dict[Region, list[str]]]
    ambiguous: list[str]
    unmatched: list[str]
    rows: int


class TagTable:
    """Tags by file, read from a CSV.

    Args:
        file: the table.
        replace: take from the files that the table names all tags that it does not give them, but for those that
            `Library.tags` gave. By default its tags are added.

    Attributes:
        split: labels of regions that hold what separates tags -> the tags that they became.

    Raises:
        LibraryError: the table is missing, is not text, lacks a column or has a start or end that is no second.
    """

    def __init__(self, file: str | PathLike[str], *, replace: bool = False) -> None:
        self.replace = replace
        self._name = fspath(file)
        self._folder = Path(file).resolve().parent
        self.split: dict[str, list[str]] = {}
        self._tags: dict[str, dict[Region, set[str]]] = {}
        self._lines: dict[str, int] = {}
        self._rows: Counter[str] = Counter()
        self._cut: dict[str, str] = {}
        try:
            table = read_csv(decode_text(Path(file).read_bytes()), [NAME_COLUMNS, _TAG_COLUMNS])
            self._take_rows(table)
        except OSError as error:
            raise LibraryError(f"tags file {self._name!r} cannot be read: {reason_of(error)}") from None
        except FileTableError as error:
            raise LibraryError(f"tags file {self._name!r} {error}") from None

    def _take_rows(self, table: FileTable) -> None:
        name_column, tag_column = table.column(NAME_COLUMNS) or 0, table.column(_TAG_COLUMNS)
        one_each = tag_column is not None and table.columns[tag_column] in _ONE_EACH
        of_regions = table.column(_STARTS) is not None and table.column(_ENDS) is not None
        for number, (row, line) in enumerate(zip(table.rows, table.lines, strict=True)):
            cells = table.cells(number, tag_column)
            words = {word.strip() for cell in cells for word in _SEPARATORS.split(cell)} - {""}
            if name_column < len(row) and row[name_column]:
                region = _region(table, number) if of_regions else _WHOLE
                self._tags.setdefault(row[name_column], {}).setdefault(region, set()).update(words)
                self._lines.setdefault(row[name_column], line)
                self._rows[row[name_column]] += 1
                self._note_cut_name(table, number, words)
                if of_regions and one_each and len(words) > 1:
                    self.split[cells[0]] = sorted(words)

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
        tags: dict[str, dict[Region, set[str]]] = {}
        ambiguous, unmatched, rows = [], [], 0
        for name, regions in self._tags.items():
            files = () if name in self._cut else matcher.match(name)
            if len(files) == 1 or (files and are_copies(files)):
                rows += self._rows[name]
                of_file = tags.setdefault(files[0], {})
                for region, words in regions.items():
                    of_file.setdefault(region, set()).update(words)
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
        by_file = {path: {region: sorted(words) for region, words in regions.items()} for path, regions in tags.items()}
        return MatchedTags(by_file, ambiguous, unmatched, rows)


def _region(table: FileTable, number: int) -> Region:
    """The region that a row is about; from the beginning and to the end of the file where it does not say.

    Raises:
        FileTableError: a cell holds no number of seconds, or the region ends before it begins.
    """
    row, line, found = table.rows[number], table.lines[number], []
    for names, otherwise in zip((_STARTS, _ENDS), _WHOLE, strict=True):
        column = table.column(names) or 0
        second = seconds(row[column], line, table.columns[column]) if column < len(row) else None
        found.append(otherwise if second is None else second)
    start, end = found
    if not start < end:
        raise FileTableError(f"has a region from {start:g} to {end:g} s in line {line}: it must end after it begins")
    return start, end
