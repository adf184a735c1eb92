"""SQLite tables of the feature cache: transactions, and recovery of damaged files.

SQLite, because a transaction is there whole or not at all after a kill or a power cut, and processes that write at
the same time wait for each other. A file that it cannot read is deleted with a warning: all that these tables say
can be found out again.

Not for sound: that lies in a plain file, which can be mapped into memory (``cache``).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

__all__ = ["open_database", "select", "transaction"]

_log = logging.getLogger(__name__)

_WAIT_SECONDS = 600.0
"""How long to wait for another process's transaction; the longest writes a few dozen megabytes."""

_AT_ONCE = 500
"""Values looked up by one query; SQLite takes 999 in any version."""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """A database with its tables, made where it is missing and made anew where it is damaged.

    Args:
        path: the file.
        schema: the statements that make the tables if they are not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _opened(path, schema)
    except sqlite3.OperationalError:
        # Not the file's fault: the disk is full, say.
        raise
    except sqlite3.DatabaseError as error:
        _log.warning("%s is damaged (%s): deleted, what it knew is found out again", path, error)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return _opened(path, schema)


def _opened(path: Path, schema: str) -> sqlite3.Connection:
    # Transactions begin where `transaction` says, not where the driver guesses.
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    try:
        with transaction(database):
            for statement in schema.split(";"):
                database.execute(statement)
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All that is done inside or, if it fails, nothing; other processes that would write wait outside."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def select(database: sqlite3.Connection, query: str, values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query that ends in ``IN``, for any number of values."""
    every = list(values)
    for first in range(0, len(every), _AT_ONCE):
        some = every[first : first + _AT_ONCE]
        with closing(database.execute(f"{query} ({','.join('?' * len(some))})", some)) as found:
            yield from found
