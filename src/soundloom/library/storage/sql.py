"""SQL conditions of the store: literals with their quotes doubled, which is the only escape that they need."""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["is_in", "path_is_below", "path_is_in", "sql_text"]


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
    name = folder.rstrip(os.sep)
    return f"(path = {sql_text(name)} OR starts_with(path, {sql_text(name + os.sep)}))"
