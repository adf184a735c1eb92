"""Fields of a library's files, as Arrow columns: paths, lengths, tags, facts of their headers, columns from tables.

    path, name, folder         folders relative to the one that all files share
    duration, segments, tags   seconds of the file; how many rows; tags that people gave to any of them
    sample_rate, channels ...  facts of the file (`soundloom.library.storage.facts_table`), and columns from tables
    hour, month                of the recording time: 0 to 23, if a name or a header states it, and 2024-05
    site                       where it was recorded: by a table, or by names (`soundloom.library.Deployments`)

Nothing needs the store or a model, and what was computed once is kept. What is not known of a file is null.
"""

from __future__ import annotations

import difflib
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import QueryError
from soundloom.library.search.fields.deployments import Deployments
from soundloom.library.search.text_match import TextIndex, TextMatches, may_hold
from soundloom.library.storage.facts_table import COLUMNS, DEPLOYMENTS, STORED
from soundloom.library.storage.table_schema import as_mask, whole_column
from soundloom.remote.locations import common_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FileFields"]

T = TypeVar("T", bound=np.generic)


class _HasPath(Protocol):
    @property
    def path(self) -> str: ...


InFile = TypeVar("InFile", bound=_HasPath)

_OTHER_NAMES = {
    "rate": "sample_rate",
    "length": "duration",
    "file": "name",
    "time": "recorded",
    "loudness": "rms",
    "level": "rms",
}


class FileFields:
    """Fields of files, a value each; one file after another in the order of their paths.

    Args:
        rows: path, duration and tags of every segment, ordered by path.
        facts: of the files, where there are any.
        shared: the folder that names of folders leave out; that of all files if not given.

    Attributes:
        rows: as given.
        facts: as given.
        paths: the files.
        file_of_row: for every segment the number of its file.
    """

    def __init__(self, rows: pa.Table, facts: pa.Table | None = None, shared: str | None = None) -> None:
        import pyarrow.compute as pc

        runs = pc.run_end_encode(whole_column(rows, "path"))
        self.paths: pa.Array = runs.values
        self._counts: NDArray[np.int64] = np.diff(runs.run_ends.to_numpy(), prepend=0).astype(np.int64)
        self.file_of_row: NDArray[np.int32] = self.of_rows(np.arange(len(self.paths), dtype=np.int32))
        self.rows, self.facts = rows, facts
        self._shared = shared
        self._was_searched = False
        self._columns: dict[str, pa.Array] = {}
        self._made: dict[str, Callable[[], pa.Array]] = {
            "path": lambda: self.paths,
            "name": self._names,
            "folder": self._folders,
            "duration": self._durations,
            "segments": self._segments,
            "tags": self._tags,
            "hour": self._hours,
            "month": self._months,
            "site": self._sites,
        }

    @property
    def names(self) -> list[str]:
        """The fields, by name."""
        known = [] if self.facts is None else dict.fromkeys([*COLUMNS, *self.facts.column_names])
        return [*self._made, *(name for name in known if name not in ("path", "hash") and name not in self._made)]

    def name(self, asked: str) -> str:
        """A field by its name, or another name of it, such as rate.

        Raises:
            QueryError: there is none; the nearest are named.
        """
        names = self.names
        if asked in names:
            return asked
        folded = asked.strip().casefold().replace("-", "_").replace(" ", "_")
        known = {name.casefold(): name for name in names} | {
            other: name for other, name in _OTHER_NAMES.items() if name in names
        }
        if folded in known:
            return known[folded]
        if folded in STORED:
            raise QueryError(
                f"{asked!r} is a field for conditions alone, as in LibraryQuery(where='{folded} IS NOT NULL'); to "
                f"sort by and to show there are: {', '.join(names)}"
            )
        near = difflib.get_close_matches(folded, known, n=2, cutoff=0.6)
        hint = f": did you mean {' or '.join(near)}?" if near else "."
        missing = "" if self.facts is not None else "; soundloom index reads more of the files' headers"
        raise QueryError(f"there is no field {asked!r}{hint} Fields: {', '.join(names)}{missing}")

    def column(self, asked: str) -> pa.Array:
        """A field of all files.

        Raises:
            QueryError: there is no such field.
        """
        name = self.name(asked)
        if name not in self._columns:
            self._columns[name] = self._made[name]() if name in self._made else self._fact(name)
        return self._columns[name]

    def of_rows(self, of_files: NDArray[T]) -> NDArray[T]:
        """A value for each file, such as a mask, as one for each of their segments, which follow each other."""
        return np.repeat(of_files, self._counts)

    @cached_property
    def _first_rows(self) -> NDArray[np.int64]:
        """The first segment of each file, and after them how many segments there are."""
        return np.concatenate([[0], np.cumsum(self._counts)])

    def rows_of_file(self, file: int) -> range:
        """The segments of a file, by its number."""
        return range(int(self._first_rows[file]), int(self._first_rows[file + 1]))

    @cached_property
    def text_index(self) -> TextIndex:
        """Words of names, tags, titles and folders, for searches by text."""
        return TextIndex(self)

    def match_text(self, text: str) -> TextMatches:
        """The files whose texts hold all words of a query; the first is answered without an index of all texts.

        Raises:
            QueryError: the query holds no word.
        """
        if self._was_searched or "text_index" in vars(self):
            return self.text_index.match(text)
        self._was_searched = True
        possible = may_hold(self, text)
        of_rows = self.of_rows(possible)
        some = FileFields(self.rows.filter(of_rows), self.facts, _shared_folder(self.rows))
        found = some.text_index.match(text)
        rows = np.zeros(len(of_rows), np.bool_)
        rows[np.flatnonzero(of_rows)[found.rows]] = True
        return replace(found, files=np.flatnonzero(possible)[found.files], rows=rows)

    def of_files(self, paths: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
        """Some fields of some files, by the names that were asked for.

        Raises:
            QueryError: there is no such field.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        places = pc.index_in(pa.array(paths, self.paths.type), value_set=self.paths)
        columns = [self.column(name).take(places).to_pylist() for name in names]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def order(self, files: NDArray[np.int64], sort: Sequence[str]) -> NDArray[np.int64]:
        """Files, by their numbers, in the order of some fields; what is not known comes last.

        Args:
            files: numbers of files.
            sort: names of fields, the most important first; one with a minus before it, from large to small.

        Raises:
            QueryError: there is no such field.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        ordered = np.asarray(files)
        # Stable sorts, the least important first; equal files stay in the order of their paths.
        for key in reversed(sort):
            column = self.column(key.removeprefix("-")).take(ordered)
            if pa.types.is_list(column.type):
                column = pc.binary_join(column, " ")
            unknown = as_mask(pc.is_null(column))
            ranks = pc.rank(column, "ascending", tiebreaker="dense").to_numpy().astype(np.int64)
            ordered = ordered[np.lexsort((-ranks if key.startswith("-") else ranks, unknown))]
        return ordered

    def arrange(self, files: NDArray[np.integer[Any]], sort: Sequence[str]) -> NDArray[np.int64]:
        """In which order to put things of files, such as segments, by fields of their files; equal ones stay as given.

        Args:
            files: for every thing the number of its file.
            sort: as for `order`.

        Raises:
            QueryError: there is no such field.
        """
        _, first = np.unique(files, return_index=True)
        ordered = self.order(files[np.sort(first)].astype(np.int64), sort)
        place = np.empty(len(self.paths), np.int64)
        place[ordered] = np.arange(len(ordered))
        return np.argsort(place[files], kind="stable")

    def sorted(self, found: Sequence[InFile], sort: Sequence[str]) -> Sequence[InFile]:
        """Segments or matches in the order of some fields of their files, equal ones as they were.

        Raises:
            QueryError: there is no such field.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if not sort or not found:
            return found
        files = pc.index_in(pa.array([one.path for one in found], self.paths.type), value_set=self.paths).to_numpy()
        return [found[place] for place in self.arrange(files, sort)]

    @cached_property
    def begun(self) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
        """When every file's recording began, to the millisecond, and whether its name or header states it.

        Where neither does it is when the file was changed; NaT where nothing is known.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        moments = self._recorded().cast(pa.timestamp("ms")).to_numpy(zero_copy_only=False)
        by = pa.nulls(len(self.paths), pa.string()) if self.facts is None else self._fact("recorded_by")
        stated = as_mask(pc.not_equal(by, "file"))
        return moments, ~np.isnat(moments) & stated

    @cached_property
    def tags_of_rows(self) -> tuple[list[str], NDArray[np.int32], NDArray[np.int32]]:
        """The tags that were given, by name; and for every tag of a segment its number in them, and the segment's."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = whole_column(self.rows, "tags")
        encoded = pc.list_flatten(column).cast(pa.string()).dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy()
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        return encoded.dictionary.to_pylist(), codes, np.repeat(np.arange(len(column), dtype=np.int32), counts)

    @cached_property
    def titles(self) -> dict[str, str]:
        """Path -> title and category of the files that have any."""
        import pyarrow.compute as pc

        if self.facts is None:
            return {}
        some = self.facts.filter(
            pc.or_(pc.not_equal(self.facts["title"], ""), pc.not_equal(self.facts["category"], ""))
        )
        columns = some.select(["path", "title", "category"]).to_pydict()
        return {path: f"{title} {category}" for path, title, category in zip(*columns.values(), strict=True)}

    @cached_property
    def _places_of_facts(self) -> pa.Array:
        """For every file the row of its facts; null where there are none."""
        import pyarrow.compute as pc

        assert self.facts is not None
        return pc.index_in(self.paths, value_set=self.facts["path"].combine_chunks())

    def _fact(self, name: str) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        assert self.facts is not None
        if name not in self.facts.column_names:  # of an earlier version, until the next index
            return pa.nulls(len(self.paths), pa.float32() if name in ("peak", "rms") else pa.string())
        column = self.facts[name].combine_chunks().take(self._places_of_facts)
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(column, ""), None, column)
        return column

    def _names(self) -> pa.Array:
        import pyarrow.compute as pc

        return pc.replace_substring_regex(self.paths, f"^.*{re.escape(os.sep)}", "")

    def _folders(self) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        shared = _shared_folder(self.rows) if self._shared is None else self._shared
        folders = pc.replace_substring_regex(self.paths, f"{re.escape(os.sep)}[^{re.escape(os.sep)}]*$", "")
        distinct = folders.dictionary_encode()
        below = [folder.removeprefix(shared).lstrip(os.sep) or "." for folder in distinct.dictionary.to_pylist()]
        return pa.array(below, pa.string()).take(distinct.indices)

    def _durations(self) -> pa.Array:
        import pyarrow as pa

        durations = np.zeros(len(self.paths))
        durations[self.file_of_row] = self.rows["duration"].to_numpy()
        return pa.array(durations)

    def _segments(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(self._counts)

    def _tags(self) -> pa.Array:
        import pyarrow as pa

        given, codes, segments = self.tags_of_rows
        names, known = sorted(given), codes >= 0
        rank = np.array([bisect_left(names, name) for name in given], np.int64)
        # Each tag of a file once, in the order of files and tags.
        files = self.file_of_row[segments[known]].astype(np.int64)
        pairs = np.unique(files * max(1, len(names)) + rank[codes[known]])
        files, tags = np.divmod(pairs, max(1, len(names)))
        offsets = np.searchsorted(files, np.arange(len(self.paths) + 1)).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(names, pa.string()).take(pa.array(tags)))

    def _hours(self) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        # The time of a file's last change is of its day at best: copies and exports are made at any hour.
        clock = pc.if_else(pa.array(self.begun[1]), pc.utf8_slice_codeunits(self._recorded(), 11, 13), None)
        return pc.cast(pc.if_else(pc.equal(clock, ""), None, clock), pa.int32())

    def _months(self) -> pa.Array:
        import pyarrow.compute as pc

        return pc.utf8_slice_codeunits(self._recorded(), 0, 7)

    def _recorded(self) -> pa.Array:
        import pyarrow as pa

        return pa.nulls(len(self.paths), pa.string()) if self.facts is None else self._fact("recorded")

    def _sites(self) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        stated = None
        if self.facts is not None and "site" in self.facts.column_names:
            stated = pc.cast(self._fact("site"), pa.string())
        kept = {} if self.facts is None else self.facts.schema.metadata or {}
        deployments = Deployments.of_text(kept[DEPLOYMENTS]) if DEPLOYMENTS in kept else Deployments()
        begun = self.begun[0].tolist() if deployments.rows else [None] * len(self.paths)
        sites = pa.array(
            [deployments.of(path, when).site for path, when in zip(self.paths.to_pylist(), begun, strict=True)],
            pa.string(),
        )
        return sites if stated is None else pc.coalesce(stated, sites)


def _shared_folder(rows: pa.Table) -> str:
    """The folder that all files lie in, at any depth."""
    import pyarrow.compute as pc

    if not rows.num_rows:
        return ""
    # The first and the last path differ where any two do.
    bounds = pc.min_max(rows["path"])
    return common_folder(str(bounds[end]) for end in ("min", "max"))
