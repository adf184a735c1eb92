"""A query of a library: text, sounds, words of the model and filters; and the part of it that needs no model.

Text is looked for in names, tags, titles and folders (`soundloom.library.search.text_match`), which takes the rows of
the index and nothing else. `soundloom.library.search.finder` answers the rest.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import QueryError
from soundloom.library.search.fields.conditions import condition_mask
from soundloom.library.search.fields.facets import Facets, count_facets
from soundloom.library.search.fields.file_fields import FileFields
from soundloom.library.search.matches import Match
from soundloom.library.search.query_checks import check_count, check_where
from soundloom.library.search.query_sound import QuerySound
from soundloom.library.search.row_filter import RowFilter

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.audio import DecodeOptions
    from soundloom.library.search.search_index import SearchIndex
    from soundloom.library.segments import SegmentRef

__all__ = [
    "LibraryQuery",
    "facets",
    "match_names",
    "rows_of_text",
    "select",
    "where_mask",
]

StoreMask = Callable[[str], NDArray[np.bool_]]
"""Evaluates a condition that only the store can, such as `SearchIndex.mask`."""


@dataclass(frozen=True, kw_only=True)
class LibraryQuery:
    """What is asked of a library. Text alone finds files by their names, tags and titles, then by the model.

    Attributes:
        text: words that names, tags, titles or folders hold, all of them. Beside sounds or `words`: among which files.
        like: sounds that the hits are like.
        unlike: sounds that they are not like.
        words: what the hits sound like, in words that the library's model knows.
        not_words: what they do not sound like.
        filter: which segments may be found, by tags that people gave, and folders.
        where: the same as an SQL condition, on all fields (`soundloom.library.search.fields`) and the store's columns.
        sort: fields by which what text and filters find is ordered, and the best matches of sounds and words are; with
            a minus before the name from large to small.
        share: how much the words count beside sounds, from 0 to 1.
        weights: part name -> how much that part counts, as for `Library.search`.
        every_segment: every segment that is found, instead of the best of each file.
        names_only: do not ask the model where text finds too little.
        include_query: whether sounds from the library may find themselves.
        decoding: how sounds are decoded, if not as the library's files are.
    """

    text: str = ""
    like: tuple[QuerySound, ...] = ()
    unlike: tuple[QuerySound, ...] = ()
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()
    filter: RowFilter = field(default_factory=RowFilter)
    where: str | None = None
    sort: tuple[str, ...] = ()
    share: float = 0.5
    weights: Mapping[str, float] | None = None
    every_segment: bool = False
    names_only: bool = False
    include_query: bool = False
    decoding: DecodeOptions | None = None

    @classmethod
    def of(cls, query: str | LibraryQuery) -> LibraryQuery:
        """A text as a query; a query as it is."""
        return cls(text=query) if isinstance(query, str) else query

    @property
    def is_compared(self) -> bool:
        """Whether embeddings are compared: there are sounds, or words of the model."""
        return bool(self.like or self.unlike or self.words or self.not_words)

    def check(self, k: int) -> None:
        """Refuse what cannot be answered, before anything is loaded.

        Raises:
            QueryError: k below 1, a share outside [0, 1], a weight that is not above 0, a region that ends before it
                begins, or a single value where several are meant.
        """
        check_count(k)
        check_where(self.where)
        if not isinstance(self.text, str):
            raise QueryError(f"text is what to look for, in letters, got {self.text!r}")
        for name in ("words", "not_words", "sort"):
            if isinstance(given := getattr(self, name), str):
                raise QueryError(f"{name} are several texts: write {name}=({given!r},)")
        for name in ("like", "unlike"):
            if isinstance(given := getattr(self, name), str) or not all(isinstance(one, QuerySound) for one in given):
                raise QueryError(f"{name} are several QuerySound: write {name}=(QuerySound({_example(given)!r}),)")
        if not 0 <= self.share <= 1:
            raise QueryError(f"the share of the words beside a sound must be from 0 to 1, got {self.share}")
        for sound in (*self.like, *self.unlike):
            if not 0 < sound.weight < math.inf:
                raise QueryError(
                    f"the weight of an example must be above 0, got {sound.weight:g}: LibraryQuery(unlike=...) "
                    "turns it round"
                )
            if sound.end is not None and not sound.start < sound.end:
                raise QueryError(f"a region must end after it begins, got {sound.start:g} to {sound.end:g} s")


def _example(sounds: object) -> object:
    """The first of what should be several sounds, if it is a file."""
    first = sounds if isinstance(sounds, str) else next(iter(sounds), None) if isinstance(sounds, Iterable) else None
    return str(first) if isinstance(first, str | os.PathLike) else "dog.wav"


def match_names(
    fields: FileFields,
    query: LibraryQuery,
    allowed: NDArray[np.bool_] | None = None,
    *,
    absent: Callable[[Sequence[str]], Sequence[bool]] = lambda paths: [False] * len(paths),
    most: int | None = None,
) -> list[Match]:
    """The files whose texts hold the query's, the best first; without a text all that the filter admits, by path.

    Args:
        fields: of the library's files.
        query: its text, filter and order count; its condition (`where_mask`) is in ``allowed``.
        allowed: rows that may be found; all if not given.
        absent: finds which of some files are not there.
        most: how many matches are wanted; all if not given.

    Raises:
        QueryError: the text holds no word, or the filter names a tag or folder that is not there, or the order a field.
    """
    mask = query.filter.mask(fields) if query.filter else None
    if allowed is not None:
        mask = allowed if mask is None else mask & allowed
    found: Iterable[tuple[tuple[int, ...], tuple[str, ...]]]
    if query.text:
        found = _rows_by_match(fields, query.text, query.sort)
    else:
        found = ((some, ()) for some in _rows_by_file(fields, mask, query.sort))
    matches: list[Match] = []
    for some, found_by in found:
        kept = [row for row in some if mask is None or mask[row]]
        if kept:
            matches += _regions(fields.rows, kept, found_by)[: None if query.every_segment else 1]
        if most is not None and len(matches) >= most:
            break
    gone = absent([match.path for match in matches[:most]])
    return [replace(match, absent=missing) for match, missing in zip(matches[:most], gone, strict=True)]


def select(index: SearchIndex, query: LibraryQuery) -> list[SegmentRef]:
    """Every segment that the text and the filters of a query admit; see `Library.select`.

    Raises:
        QueryError: as for `match_names`; or the query has sounds or words of the model, which rank and do not select.
    """
    return index.segments.references(_selected(index.fields, query, index.mask))


def facets(
    fields: FileFields, query: LibraryQuery, asked: Sequence[str] = (), in_store: StoreMask | None = None
) -> Facets:
    """How many of the files that the text and the filters of a query admit have each value of some fields.

    Args:
        fields: of the library's files.
        query: its text, filter and condition count.
        asked: names of fields; the usual ones if none.
        in_store: evaluates a condition that only the store can.

    Raises:
        QueryError: as for `select`, or there is no such field.
    """
    mask = _selected(fields, query, in_store)
    return count_facets(fields, np.unique(fields.file_of_row[mask]), asked)


def where_mask(fields: FileFields, where: str, in_store: StoreMask | None = None) -> NDArray[np.bool_] | None:
    """The rows for which an SQL condition holds; None if only the store can say, and is not given.

    Raises:
        QueryError: the condition cannot be evaluated.
    """
    mask = condition_mask(fields, where)
    return in_store(where) if mask is None and in_store is not None else mask


def _selected(fields: FileFields, query: LibraryQuery, in_store: StoreMask | None) -> NDArray[np.bool_]:
    """The rows that the text, the filter and the condition of a query admit."""
    if query.is_compared:
        raise QueryError(
            "sounds and words of the model rank a library: select by text, tags and filters, or find first"
        )
    mask = query.filter.mask(fields)
    if query.text:
        mask &= rows_of_text(fields, query.text)
    if query.where is None:
        return mask
    satisfying = where_mask(fields, query.where, in_store)
    if satisfying is None:
        raise QueryError(f"the filter {query.where!r} has columns that only the store has: open the library to use it")
    return np.asarray(mask & satisfying)


def rows_of_text(fields: FileFields, text: str) -> NDArray[np.bool_]:
    """The rows whose texts hold a text."""
    return fields.match_text(text).rows


def _rows_by_match(
    fields: FileFields, text: str, sort: Sequence[str]
) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    """The rows of every file that holds a text, and what holds it, the best first or in the order of some fields."""
    matches = fields.match_text(text)
    files = fields.order(np.sort(matches.files), sort) if sort else matches.files
    place = dict(zip(matches.files.tolist(), range(len(files)), strict=True)) if sort else None
    for rank, file in enumerate(files.tolist()):
        rows = fields.rows_of_file(file)
        meant = rows.start + np.flatnonzero(matches.rows[rows.start : rows.stop])
        yield tuple(meant.tolist()), matches.found_by(rank if place is None else place[file])


def _rows_by_file(fields: FileFields, mask: NDArray[np.bool_] | None, sort: Sequence[str]) -> Iterator[tuple[int, ...]]:
    admitted = np.arange(len(fields.file_of_row)) if mask is None else np.flatnonzero(mask)
    if not len(admitted):
        return
    file = fields.file_of_row[admitted]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(file)) + 1])
    ends = np.append(starts[1:], len(admitted))
    # Files are numbered in the order of their paths.
    order = fields.order(file[starts], sort) if sort else file[starts]
    for place in np.searchsorted(file[starts], order):
        yield tuple(admitted[starts[place] : ends[place]].tolist())


def _regions(rows: pa.Table, some: Sequence[int], found_by: tuple[str, ...]) -> list[Match]:
    """Rows of one file as regions: those that touch or overlap are one."""
    columns = rows.select(["path", "start", "end", "duration", "tags"]).take(some).to_pydict()
    regions: list[Match] = []
    for path, start, end, duration, tags in zip(*columns.values(), strict=True):
        last = regions[-1] if regions else None
        if last is not None and start <= last.end:
            joined = tuple(sorted({*last.tags, *(tags or ())}))
            regions[-1] = Match(path, last.start, max(end, last.end), duration, joined, found_by=found_by)
        else:
            regions.append(Match(path, start, end, duration, tuple(tags or ()), found_by=found_by))
    return regions
