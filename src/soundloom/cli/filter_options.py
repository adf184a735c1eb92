"""Options that say which sounds of a library are meant: text, tags, folders, facts of the files, SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from soundloom.cli.search_query import parse_time

if TYPE_CHECKING:
    from soundloom.library import RowFilter

__all__ = ["filters", "pop_filter"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?")
Command = TypeVar("Command", bound=Callable[..., Any])


class _Day(click.DateTime):
    """A day, or a moment of one, in the order of ISO 8601."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See `click.ParamType`."""
        if isinstance(value, datetime):
            return value
        with suppress(ValueError):
            if _DAY.fullmatch(str(value)):
                return datetime.fromisoformat(value)
        return self.fail(
            f"{value!r} is no day: write year-month-day, such as 2024-05-31 or 2024-05-31T04:30", param, ctx
        )


_OPTIONS = (
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only with this tag, that somebody gave."),
    click.option("--folder", "inside", metavar="FOLDER", help="Only in this folder, at any depth: a path or a name."),
    click.option("--longer", callback=parse_time, metavar="TIME", help="Only files of at least this length."),
    click.option("--shorter", callback=parse_time, metavar="TIME", help="Only files of at most this length."),
    click.option("--rate", type=click.IntRange(min=1), metavar="HZ", help="Only files of this sample rate."),
    click.option("--after", type=_Day(), metavar="DAY", help="Only what was recorded on that day or later."),
    click.option("--before", type=_Day(), metavar="DAY", help="Only what was recorded before that day."),
    click.option(
        "--where", metavar="SQL", help="Only what this holds for, such as \"duration < 5 AND codec LIKE 'FLAC%'\"."
    ),
)


def filters(command: Command) -> Command:
    """Options of which sounds are meant; all but ``--where`` are read by `pop_filter`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def pop_filter(given: dict[str, Any]) -> RowFilter:
    """The filter that the options describe, which are taken out of the arguments of a command."""
    from soundloom.library import RowFilter

    return RowFilter(
        tags=given.pop("tags"),
        folder=given.pop("inside"),
        longer=given.pop("longer"),
        shorter=given.pop("shorter"),
        sample_rate=given.pop("rate"),
        after=given.pop("after"),
        before=given.pop("before"),
    )
