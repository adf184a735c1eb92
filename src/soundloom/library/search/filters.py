"""Search filters as SQL conditions, for `Library.search` and `Library.rows`.

Every value goes into the SQL as a literal of its own type: text between quotes with its quotes doubled, which is the
only escape needed because no pattern is matched (``%`` and ``_`` are ordinary letters), and numbers as numbers. So
nothing a user types can become part of the condition itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from soundloom.errors import QueryError
from soundloom.library.storage.sql import sql_text
from soundloom.remote import absolute_location
from soundloom.remote.locations import inside

__all__ = ["Filter"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LAST = 2**63 - 1
"""The latest time that the store can hold, in nanoseconds."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which segments may be found; every condition that is given must hold.

    Attributes:
        folder: the file lies in this folder, at any depth; an absolute path.
        tags: the segment has all of these tags.
        without_tags: it has none of these.
        min_duration: the whole file lasts at least so many seconds.
        max_duration: it lasts at most so many.
        modified_after: the file was modified at that moment or later; a day means its beginning. Local time
            where no zone is given.
        modified_before: it was modified before that moment; a day means its beginning.
    """

    folder: str | os.PathLike[str] | None = None
    tags: tuple[str, ...] = ()
    without_tags: tuple[str, ...] = ()
    min_duration: float | None = None
    max_duration: float | None = None
    modified_after: date | None = None
    modified_before: date | None = None

    def sql(self) -> str | None:
        """The condition, for ``where``; None if there is none.

        >>> Filter(tags=("dog's",), max_duration=5).sql()
        "array_has(tags, 'dog''s') AND duration <= 5.0"

        Raises:
            QueryError: a duration that is no number, or text that is not Unicode.
        """
        return " AND ".join(self._conditions()) or None

    def _conditions(self) -> Iterator[str]:
        if self.folder is not None:
            # With its separator behind it: the folder "birds" must not take in "birds of prey".
            yield f"starts_with(path, {_literal(inside(absolute_location(self.folder)))})"
        for tag in self.tags:
            yield f"array_has(tags, {_literal(tag)})"
        for tag in self.without_tags:
            yield f"(tags IS NULL OR NOT array_has(tags, {_literal(tag)}))"
        if self.min_duration is not None:
            yield f"duration >= {_seconds(self.min_duration)}"
        if self.max_duration is not None:
            yield f"duration <= {_seconds(self.max_duration)}"
        if self.modified_after is not None:
            yield f"mtime_ns >= {_nanoseconds(self.modified_after)}"
        if self.modified_before is not None:
            yield f"mtime_ns < {_nanoseconds(self.modified_before)}"


def _literal(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise QueryError(f"{text!r} is not Unicode text, and no path or tag of a library is otherwise") from None
    return sql_text(text)


def _seconds(number: float) -> str:
    if not math.isfinite(number):
        raise QueryError(f"a duration must be a finite number of seconds, got {number}")
    return repr(float(number))


def _nanoseconds(moment: date) -> int:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    try:
        since = moment.astimezone(UTC) - _EPOCH
    except (OverflowError, OSError, ValueError):
        raise QueryError(f"{moment} is outside the years that files can be dated with") from None
    nanoseconds = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return max(-_LAST, min(nanoseconds, _LAST))
