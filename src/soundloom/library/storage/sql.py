"""SQL conditions of the store: literals with their quotes doubled, which is the only escape that they need."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from soundloom.errors import QueryError
from soundloom.remote.locations import inside

__all__ = ["check_condition", "is_in", "is_segment", "path_is_below", "path_is_in", "sql_text"]

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")


def check_condition(where: str) -> str:
    """A condition as it was given; refused with a second statement behind it, which the store's engine would ignore.

    >>> check_condition("path LIKE '%;%'")
    "path LIKE '%;%'"

    Raises:
        QueryError: a semicolon outside quotes, or nothing at all.
    """
    if not where.strip():
        raise QueryError("the filter is empty: write a condition such as duration < 5, or leave it out")
    if ";" in _QUOTED.sub("", where):
        raise QueryError(
            f"the filter {where!r} has a ';', and one condition is all that it may hold: leave out the rest"
        )
    return where


def sql_text(text: str) -> str:
    """A text as an SQL literal.

    >>> sql_text("dog's")
    "'dog''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def is_in(column: str, values: Iterable[str]) -> str:
    """The condition that a column has one of some values."""
    return f"{column} IN ({', '.join(map(sql_text, values))})"


def path_is_in(paths: Iterable[str]) -> str:
    """The condition that a row belongs to one of some files."""
    return is_in("path", paths)


def path_is_below(folder: str) -> str:
    """The condition that a row's file is, or lies below, a folder or file."""
    begin = inside(folder)
    return f"(path = {sql_text(begin[:-1])} OR starts_with(path, {sql_text(begin)}))"


def is_segment(segments: Collection[tuple[str, float]]) -> str:
    """The condition that a row is one of some segments, each a path and the second at which it starts."""
    each = [f"(path = {sql_text(path)} AND start = {float(start)!r})" for path, start in segments]
    return f"{path_is_in(sorted({path for path, _ in segments}))} AND ({' OR '.join(each)})"
