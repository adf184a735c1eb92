"""Fields of files on the command line: their names in options, their values for hits, and facet counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli.console import echo, print_json
from soundloom.cli.search_query import check_library
from soundloom.counted import counted
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.library import LibraryQuery
    from soundloom.library.search.fields.file_fields import FileFields

__all__ = ["check_fields", "fields_of", "parse_names", "print_facets"]


def parse_names(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, ...]:
    """The value of an option that is a list of names with commas between them."""
    return tuple(filter(None, (name.strip() for name in (text or "").split(","))))


def check_fields(folder: Path, names: Sequence[str]) -> None:
    """Refuse names of fields that a library does not have, before anything is searched.

    Raises:
        LibraryError: there is no library.
        QueryError: there is no such field.
    """
    if names:
        fields_of(folder, [], names)


def fields_of(folder: Path, paths: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Fields of files of a library.

    Raises:
        LibraryError: there is no library.
        QueryError: there is no such field.
    """
    return _fields(folder).of_files(paths, names)


def print_facets(folder: Path, names: Sequence[str], query: LibraryQuery | None = None, *, json_wanted: bool) -> None:
    """Count the files of a library that a query admits by some fields, or by the usual ones.

    Raises:
        LibraryError: there is no library.
        QueryError: there is no such field, or the query cannot be evaluated.
    """
    from soundloom.library import LibraryQuery
    from soundloom.library.search.library_query import facets

    query = query or LibraryQuery()
    found = facets(_fields(folder), query, names, lambda where: _mask(folder, where))
    if query.text and not query.names_only:
        none = "" if found.files else f"nothing found: {query.text!r}: "
        echo(f"{none}counted by names, folders, tags and titles; what the model takes for the text is not", err=True)
    if json_wanted:
        print_json(found)
        return
    if found.files or not query.text:
        echo(counted(found.files, "file"))
    for field, values in found.counts.items() if found.files else ():
        echo(f"{field}:" if values else f"{field}: not known")
        width = max((len(str(count)) for count in values.values()), default=0)
        for value, count in values.items():
            echo(f"  {count:>{width}}  {printable(value)}")


def _fields(folder: Path) -> FileFields:
    """Fields of a library's files by its index; it is opened only where that is missing or stale."""
    from soundloom.cli.arrow_without_pandas import convert_without_pandas
    from soundloom.library.search.current_rows import current_fields

    check_library(folder)
    convert_without_pandas()
    fields = current_fields(folder)
    if fields is not None:
        return fields
    from soundloom.library import Library

    return Library.open(folder).index().fields


def _mask(folder: Path, where: str) -> Any:
    from soundloom.library import Library

    return Library.open(folder).index().mask(where)
