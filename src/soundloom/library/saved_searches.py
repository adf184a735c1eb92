"""Saved searches of a library: a name for the address of each, in one JSON file (RFC 8259) of the library's folder.

    {"marsh at dawn": "text=marsh&field=hour:5"}

The query is the part of the page's address behind the question mark, which `GET /search` and `GET /find` take as well;
`read_saved` reads it for `Library.find`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from soundloom.atomic_file import write_atomically
from soundloom.errors import LibraryError, QueryError
from soundloom.library.library_files import SEARCHES_FILE
from soundloom.library.mirror import changing
from soundloom.library.storage.library_lock import require_library

if TYPE_CHECKING:
    from soundloom.library.search.library_query import LibraryQuery
    from soundloom.library.search.query_sound import QuerySound
    from soundloom.library.search.row_filter import RowFilter

__all__ = ["SavedSearches", "read_saved"]

_MOST = 1000
_LONGEST_NAME = 200
_LONGEST_QUERY = 20_000
_VIEW = frozenset({"view", "k", "offset", "column", "explain", "name", "yes", "no", "colour", "value", "at"})
"""What an address says of how the page shows results, and not of what is asked."""
_NUMERIC = ("sample_rate", "channels", "bits", "hour")
"""Fields whose values are numbers."""


class SavedSearches:
    """The saved searches of one library; read anew at each call.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._file = self._folder / SEARCHES_FILE

    def all(self) -> dict[str, str]:
        """Name -> query, in the order in which they were saved.

        Raises:
            LibraryError: the file is damaged, or the library is not there.
        """
        if not self._folder.is_dir():
            require_library(self._folder)
        try:
            saved = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LibraryError(
                f"{self._file} cannot be read ({error}): restore it from a backup or remove it"
            ) from None
        if not (isinstance(saved, dict) and all(isinstance(query, str) for query in saved.values())):
            raise LibraryError(f"{self._file} holds no saved searches: restore it from a backup or remove it")
        return saved

    def find(self, name: str) -> str:
        """The query that was saved under a name.

        Raises:
            LibraryError: as for `all`.
            QueryError: there is none of that name; says which there are.
        """
        saved = self.all()
        if name not in saved:
            there = (
                f"there are {', '.join(map(repr, saved))}"
                if saved
                else "none is saved: save one in the page, soundloom serve"
            )
            raise QueryError(f"there is no saved search {name!r}: {there}")
        return saved[name]

    def save(self, name: str, query: str) -> None:
        """Save a query under a name, in place of the one that has the name.

        Raises:
            QueryError: the name is empty or too long, the query is too long, or there are too many.
        """
        with changing(self._folder):
            self._save(name.strip(), query)

    def _save(self, name: str, query: str) -> None:
        saved = {other: kept for other, kept in self.all().items() if other != name}
        if not 0 < len(name) <= _LONGEST_NAME:
            raise QueryError(f"the name of a search must have 1 to {_LONGEST_NAME} characters, got {len(name)}")
        if len(query) > _LONGEST_QUERY:
            raise QueryError(f"a saved query may have at most {_LONGEST_QUERY} characters, got {len(query)}")
        if len(saved) >= _MOST:
            raise QueryError(f"a library keeps at most {_MOST} searches: remove one first")
        self._write({**saved, name: query})

    def remove(self, name: str) -> None:
        """Remove a saved search.

        Raises:
            QueryError: there is none of that name.
        """
        with changing(self._folder):
            self.find(name)
            saved = self.all()
            del saved[name]
            self._write(saved)

    def _write(self, saved: dict[str, str]) -> None:
        write_atomically(self._file, json.dumps(saved, ensure_ascii=False, indent=2) + "\n")


def read_saved(query: str, sound: Callable[[str], QuerySound], folder: Callable[[str], str]) -> LibraryQuery:
    """A saved query as `Library.find` takes it.

    Args:
        query: as it is saved.
        sound: gives the sound of a segment's id.
        folder: gives the path of a folder that is named as in the page.

    Raises:
        QueryError: it asks for something that only the page has, or a value cannot be read.
    """
    from soundloom.library.search.library_query import LibraryQuery
    from soundloom.part_weights import parse_weights

    given = _Parameters(query)
    try:
        like, unlike = [sound(one) for one in given.take("like")], [sound(one) for one in given.take("unlike")]
        start, end, share = (given.number(name) for name in ("start", "end", "share"))
        if like and (start is not None or end is not None):
            like[0] = replace(like[0], start=start or 0.0, end=end)
        conditions = [*(f"({one})" for one in given.take("where")), *map(_condition, given.take("field"))]
        asked = LibraryQuery(
            text=" ".join(given.take("text")),
            like=tuple(like),
            unlike=tuple(unlike),
            words=tuple(given.take("tag", "word")),
            not_words=tuple(given.take("not")),
            filter=_filter(given, folder),
            where=" AND ".join(conditions) or None,
            sort=tuple(given.take("sort")),
            weights=parse_weights(",".join(given.take("weights")), ":") or None,
        )
    except ValueError as error:
        raise QueryError(f"the query {query!r} cannot be read ({error}): save it anew in the page") from None
    if given.names:
        raise QueryError(f"only the page can answer it, as it has {', '.join(given.names)}: {query!r}")
    return asked if share is None else replace(asked, share=share)


class _Parameters:
    """The parameters of an address that say what is asked, each of which is taken once."""

    def __init__(self, query: str) -> None:
        self._given = {name: values for name, values in parse_qs(query).items() if name not in _VIEW}

    @property
    def names(self) -> list[str]:
        """Those that are not taken yet."""
        return sorted(self._given)

    def take(self, *names: str) -> list[str]:
        """All values of some parameters."""
        return [value for name in names for value in self._given.pop(name, ())]

    def text(self, name: str) -> str | None:
        """The last value of one."""
        return next(reversed(self.take(name)), None)

    def number(self, *names: str) -> float | None:
        """The last value of some as a number.

        Raises:
            ValueError: it is none.
        """
        return next(map(float, reversed(self.take(*names))), None)

    def day(self, name: str) -> date | None:
        """The last value of one as a date; raises as `number`."""
        return next(map(date.fromisoformat, reversed(self.take(name))), None)


def _filter(given: _Parameters, folder: Callable[[str], str]) -> RowFilter:
    """The filters of a query other than conditions."""
    from soundloom.library.search.fields.recording_filter import parse_hours
    from soundloom.library.search.row_filter import RowFilter

    rate, hours, inside = given.number("rate"), given.text("hours"), given.text("folder")
    return RowFilter(
        tags=tuple(given.take("has_tag")),
        folder=None if inside is None else folder(inside),
        longer=given.number("longer", "min_duration"),
        shorter=given.number("shorter", "max_duration"),
        sample_rate=None if rate is None else round(rate),
        site=given.text("site"),
        hours=None if hours is None else parse_hours(hours),
        after=given.day("after"),
        before=given.day("before"),
    )


def _condition(field: str) -> str:
    """A field and its value, ``codec:FLAC``, as an SQL condition."""
    from soundloom.library.storage.sql import sql_text

    name, _, value = field.partition(":")
    return f'"{name}" = {value if name in _NUMERIC and value.isdigit() else sql_text(value)}'
