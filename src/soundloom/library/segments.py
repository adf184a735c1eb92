"""Segments of a library: lasting ids, and lookup by id, by row and by reference.

A segment's id is 64 bits of a hash of its file's path and its first and last second, in hexadecimal. It is the same in
every process and after every re-indexing that cuts the file in the same way, and reveals nothing of the path.
Among a million segments two share an id once in forty million libraries; the earlier row is then found.

When not: to follow a file that moves; its path is part of the id.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import QueryError
from soundloom.file_names import os_path, text_path
from soundloom.library.row_log.merged_rows import MergedRows, SortedColumn
from soundloom.library.storage.table_schema import as_mask, whole_column
from soundloom.remote import is_address

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.root_registry import Presence

__all__ = ["Hit", "Segment", "SegmentRef", "Segments", "lies_in", "segment_id"]

_ID = re.compile("[0-9a-f]{16}")
_NAMED_BY = ["path", "start", "end"]
_FEW = 64
"""Files and segments that are looked for one by one; for more, reading every path is quicker."""


def segment_id(path: str, start: float, end: float) -> str:
    """The id of a segment: 16 hexadecimal digits.

    >>> segment_id("/sounds/dog.wav", 0.0, 3.2)
    '42892c95f6f1cc73'
    """
    return f"{_number(path, start, end):016x}"


def _number(path: str, start: float, end: float) -> int:
    # The seconds come first, at a fixed length: no path can then be mistaken for another's seconds.
    spelled = pack("<dd", start, end) + path.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(spelled, digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Segment:
    """A segment of a library.

    Attributes:
        path: the file.
        start: where the segment begins, in seconds.
        end: where it ends.
        duration: length of the whole file in seconds.
        tags: the segment's tags, sorted.
        absent: whether the file is not there now, such as on a drive that is unplugged.
    """

    path: str
    start: float
    end: float
    duration: float
    tags: tuple[str, ...]
    absent: bool = field(default=False, kw_only=True)

    @property
    def id(self) -> str:
        """The segment's lasting name, `segment_id`."""
        return segment_id(self.path, self.start, self.end)


@dataclass(frozen=True)
class Hit(Segment):
    """A segment that a search found.

    Attributes:
        similarity: weighted mean of the parts' similarities, in [-1, 1].
        parts: part name -> cosine similarity by that part alone, in [-1, 1].
    """

    similarity: float
    parts: dict[str, float]


SegmentRef = str | os.PathLike[str] | Segment | tuple[str | os.PathLike[str], float, float]
"""A reference to segments: an id, a segment or a hit; a file, for all of its segments; a file and a region of it in
seconds, for the segments that share at least half of the shorter of the two."""


class Segments:
    """The rows of one version of a library's search index, by id, by row and by reference.

    Args:
        rows: path, start, end, duration and tags, ordered by path and start: `SearchIndex.rows`, or a table with the
            changes since it was written.
        version: of the index.
        presence: finds which files are not there; if not given, none is looked for.

    Attributes:
        version: as given.
    """

    def __init__(
        self,
        rows: pa.Table | MergedRows,
        version: int,
        presence: Presence | None = None,
    ) -> None:
        self.version = version
        self._presence = presence
        self._rows = MergedRows.of(rows)
        self._of_table: SortedColumn | None = None
        self._numbers: NDArray[np.uint64] | None = None

    def share_ids(self, earlier: Segments) -> None:
        """Take over the ids of an earlier version, if the rows are the same but for their tags.

        Args:
            earlier: that version.
        """
        if self._rows.base is earlier._rows.base:
            self._of_table = earlier._of_table
            if self._rows.same_segments(earlier._rows):
                self._numbers = earlier._numbers
        elif self._rows.table.select(_NAMED_BY).equals(earlier._rows.table.select(_NAMED_BY)):
            self._of_table = SortedColumn(earlier.numbers) if self._rows.log is None else None
            self._numbers = earlier._numbers

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def numbers(self) -> NDArray[np.uint64]:
        """Every row's id as a number; made when first asked for, two seconds for a million rows."""
        if self._numbers is None:
            self._numbers = self._rows.order.merged(self._table_numbers.values, self._inserted_numbers)
        return self._numbers

    @property
    def _table_numbers(self) -> SortedColumn:
        if self._of_table is None:
            self._of_table = SortedColumn(_numbers(self._rows.base.table))
        return self._of_table

    @cached_property
    def _inserted_numbers(self) -> NDArray[np.uint64]:
        return np.zeros(0, np.uint64) if self._rows.log is None else _numbers(self._rows.log.inserted)

    def ids(self, rows: Sequence[int] | NDArray[np.int64] | slice) -> list[str]:
        """The ids of some rows."""
        return [f"{number:016x}" for number in self.numbers[rows].tolist()]

    def at(self, rows: Sequence[int] | NDArray[np.int64]) -> list[Segment]:
        """The segments of some rows, in the order asked for."""
        columns = self._rows.at(rows, ["path", "start", "end", "duration", "tags"]).to_pydict()
        absent = self.absent(columns["path"])
        return [
            Segment(path, start, end, duration, tuple(tags or ()), absent=gone)
            for path, start, end, duration, tags, gone in zip(*columns.values(), absent, strict=True)
        ]

    def absent(self, paths: Sequence[str]) -> list[bool]:
        """For every path, whether the file is not there now."""
        return [False] * len(paths) if self._presence is None else self._presence.absent(paths)

    def find(self, id: str) -> Segment:
        """The segment with an id.

        Raises:
            QueryError: no segment has it.
        """
        row = int(self.rows_of_ids([id])[0])
        if row < 0:
            raise QueryError(f"no segment of this library has the id {id!r}: its file may have gone, moved or changed")
        return self.at([row])[0]

    def rows_of_ids(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The rows of the segments with these ids; -1 for an id that no segment has."""
        valid = np.array([_ID.fullmatch(one) is not None for one in ids], np.bool_)
        wanted = np.array([int(one, 16) if fit else 0 for one, fit in zip(ids, valid, strict=True)], np.uint64)
        rows = self._rows.order.rows(self._table_numbers.find(wanted))
        inserted = SortedColumn(self._inserted_numbers).find(wanted)
        rows = (
            np.where(inserted >= 0, self._rows.order.inserted[inserted], rows) if len(self._inserted_numbers) else rows
        )
        return np.where(valid, rows, -1).astype(np.int64)

    def with_tag(self, tag: str) -> NDArray[np.bool_]:
        """Which segments have a tag."""
        import pyarrow.compute as pc

        tags = whole_column(self._rows.table, "tags")
        tagged = np.zeros(len(self), np.bool_)
        if len(tags):
            wanted = tag.encode(errors="backslashreplace").decode()  # no tag has bytes that are not UTF-8
            equal = as_mask(pc.equal(pc.list_flatten(tags), wanted))
            tagged[pc.list_parent_indices(tags).to_numpy()[equal]] = True
        return tagged

    def references(self, mask: NDArray[np.bool_]) -> list[SegmentRef]:
        """Some rows as references: a file of which all segments are among them by its path, of others the segments.

        Args:
            mask: which rows.
        """
        paths = whole_column(self._rows.table, "path").dictionary_encode()
        file = paths.indices.to_numpy()
        names = paths.dictionary.to_pylist()
        chosen = np.bincount(file[mask], minlength=len(names))
        whole = chosen == np.bincount(file, minlength=len(names))
        files = [names[number] for number in np.flatnonzero(whole & (chosen > 0))]
        return [*files, *self.at(np.flatnonzero(mask & ~whole[file]))]

    def rows_of(self, references: Iterable[SegmentRef]) -> NDArray[np.int64]:
        """The rows that references point at, ascending and each once.

        Raises:
            QueryError: a reference points at nothing in the library.
        """
        rows, files = self._sort_references(references)
        return np.unique(np.concatenate([rows, *files.values()]))

    def resolve(self, references: Iterable[SegmentRef]) -> dict[str, frozenset[float] | None]:
        """The files that references point at, and the start seconds of the segments; None for a whole file.

        Raises:
            QueryError: a reference points at nothing in the library.
        """
        rows, files = self._sort_references(references)
        table = self._rows.at(rows, ["path", "start"])
        starts: dict[str, set[float]] = defaultdict(set)
        for path, start in zip(table["path"].to_pylist(), table["start"].to_pylist(), strict=True):
            starts[path].add(start)
        some: dict[str, frozenset[float] | None] = {path: frozenset(some) for path, some in starts.items()}
        return some | dict.fromkeys(files)

    def _sort_references(
        self, references: Iterable[SegmentRef]
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
        """The rows of the segments and regions among the references, and the files among them with their rows."""
        segments: list[Segment] = []
        ids: list[str] = []
        named: list[str] = []
        regions: list[tuple[str, float, float]] = []
        for one in references:
            if isinstance(one, Segment):
                segments.append(one)
            elif isinstance(one, tuple):
                regions.append((os.fspath(one[0]), one[1], one[2]))
            else:
                (ids if isinstance(one, str) and _ID.fullmatch(one) else named).append(os.fspath(one))
        known = self._rows_of_segments(segments)
        ids += [one.id for one, row in zip(segments, known, strict=True) if row < 0]
        rows = self.rows_of_ids(ids) if ids else np.zeros(0, np.int64)
        # What looks like an id and is none may still be the name of a file.
        named += [ids[place] for place in np.flatnonzero(rows < 0)]
        files = self._of_files([*named, *(path for path, _, _ in regions)])
        parts = [self._in_region(files[path], path, start, end) for path, start, end in regions]
        whole = [files[name] for name in named]
        names = self._rows.at([int(some[0]) for some in whole], ["path"])["path"].to_pylist()
        return np.concatenate([known[known >= 0], rows[rows >= 0], *parts]), dict(zip(names, whole, strict=True))

    def _rows_of_segments(self, segments: Sequence[Segment]) -> NDArray[np.int64]:
        """The rows of segments, by their file and seconds; -1 for those that are not there, or too many to look for."""
        if len(segments) > _FEW:
            return np.full(len(segments), -1, np.int64)
        found = []
        for one in segments:
            rows = self._rows.rows_of_file(one.path)
            starts, ends = (column.to_numpy() for column in self._rows.at(rows, ["start", "end"]).columns)
            found.append(next(iter(rows[(starts == one.start) & (ends == one.end)].tolist()), -1))
        return np.array(found, np.int64)

    def _in_region(self, rows: NDArray[np.int64], path: str, start: float, end: float) -> NDArray[np.int64]:
        if not start < end:
            raise QueryError(f"a region must end after it begins, got {start} to {end} s of {path!r}")
        starts, ends = (column.to_numpy() for column in self._rows.at(rows, ["start", "end"]).columns)
        rows = rows[lies_in(starts, ends, start, end)]
        if not len(rows):
            raise QueryError(
                f"no segment of {path!r} lies at {start:g} to {end:g} s: its last ends at {ends.max():g} s"
            )
        return rows

    def _of_files(self, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """The rows of files, by the names they were asked for by."""
        if not names:
            return {}
        spelled = {name: (text_path(os_path(name)), _resolved(name)) for name in dict.fromkeys(names)}
        paths = list(dict.fromkeys(path for pair in spelled.values() for path in pair))
        rows_of = self._rows.rows_of_file if len(paths) <= _FEW else self._rows_by_path(paths)
        found = {}
        for name, pair in spelled.items():
            rows = rows_of(pair[0])
            found[name] = rows if len(rows) else rows_of(pair[1])
            if not len(found[name]) and Path(os_path(name)).expanduser().is_dir():
                raise QueryError(f"{name!r} is a folder: name a sound in it")
            if not len(found[name]):
                raise QueryError(
                    f"{name!r} is neither a file nor the id of a segment of this library: index it first, "
                    "or look whether it is listed among the failures"
                )
        return found

    def _rows_by_path(self, paths: Sequence[str]) -> Callable[[str], NDArray[np.int64]]:
        """Gives the rows of each of some files, found in one pass over all paths."""
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = {path: number for number, path in enumerate(paths)}
        file = pc.fill_null(pc.index_in(self._rows.table["path"], value_set=pa.array(paths)), -1).to_numpy()
        rows = np.flatnonzero(file >= 0)
        rows = rows[np.argsort(file[rows], kind="stable")]
        edges = np.searchsorted(file[rows], np.arange(len(numbers) + 1))
        return lambda path: rows[edges[numbers[path]] : edges[numbers[path] + 1]]


def lies_in(
    starts: NDArray[np.float64] | float, ends: NDArray[np.float64] | float, start: float, end: float
) -> NDArray[np.bool_]:
    """Whether segments and a region share at least half of the shorter of the two.

    Args:
        starts: the first second of every segment, or of one.
        ends: the last ones.
        start: where the region begins, in seconds.
        end: where it ends.
    """
    shared = np.minimum(ends, end) - np.maximum(starts, start)
    return np.asarray((shared > 0) & (shared >= 0.5 * np.minimum(np.subtract(ends, starts), end - start)))


def _numbers(rows: pa.Table) -> NDArray[np.uint64]:
    """The ids of the rows of a table, as numbers."""
    return np.fromiter(map(_number, *(rows[name].to_pylist() for name in _NAMED_BY)), np.uint64, rows.num_rows)


def _resolved(name: str) -> str:
    """A file's path without symbolic links; an address as it is."""
    return name if is_address(name) else text_path(Path(os_path(name)).expanduser().resolve())
