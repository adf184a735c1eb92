"""Options that say which sounds are meant: text, tags, folders, facts of the files, site, hours and dates, SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo
from soundloom.cli.search_query import parse_time
from soundloom.counted import counted
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.library import Deployments, RowFilter

__all__ = ["deployed", "filters", "pop_deployed", "pop_filter", "pop_recording", "print_unmatched", "recorded"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?")
_DOTTED = re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")
_MONTH = re.compile(r"\d{4}(-\d{2})?")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|khz|hz)?", re.IGNORECASE)
Command = TypeVar("Command", bound=Callable[..., Any])


class _Day(click.DateTime):
    """A day, or a moment of one, by ISO 8601, or as 31.5.2024; a month or a year means its beginning."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See `click.ParamType`."""
        if isinstance(value, datetime):
            return value
        with suppress(ValueError):
            if _MONTH.fullmatch(str(value)):
                year, _, month = str(value).partition("-")
                return datetime(int(year), int(month or 1), 1)
            if _DAY.fullmatch(str(value)):
                return datetime.fromisoformat(value)
            if _DOTTED.fullmatch(str(value)):
                return datetime.strptime(str(value), "%d.%m.%Y")
        return self.fail(
            f"{value!r} is no day: write year-month-day, such as 2024-05-31 or 2024-05-31T04:30", param, ctx
        )


def _rate(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """A sample rate in hertz: 48000, 48k or 44.1 kHz."""
    if text is None:
        return None
    found = _RATE.fullmatch(text.strip())
    rate = 0 if found is None else round(float(found[1]) * (1000 if (found[2] or "").lower().startswith("k") else 1))
    if rate < 1:
        raise click.BadParameter(f"{text!r} is no sample rate: write hertz, such as 48000, or 44.1k")
    return rate


def _hours(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[float, float] | None:
    """Hours of the day: ``4-8`` or ``22-4``."""
    if text is None:
        return None
    from soundloom.errors import QueryError
    from soundloom.library import parse_hours

    try:
        return parse_hours(text)
    except QueryError as error:
        raise click.BadParameter(str(error)) from None


_RECORDED = (
    click.option("--site", type=common_options.Name(), metavar="SITE", help="Only what was recorded at this site."),
    click.option(
        "--hours",
        callback=_hours,
        metavar="FROM-TO",
        help="Only of these hours of the day, such as 22-4, by the time in the file's name or header.",
    ),
    click.option("--after", type=_Day(), metavar="DAY", help="Only what was recorded on that day or later."),
    click.option("--before", type=_Day(), metavar="DAY", help="Only what was recorded before that day."),
)
_OPTIONS = (
    click.option(
        "--tag",
        "tags",
        multiple=True,
        type=common_options.Name(),
        metavar="TAG",
        help="Only with this tag, that somebody gave.",
    ),
    click.option(
        "--folder",
        "inside",
        type=common_options.Name(),
        metavar="FOLDER",
        help="Only in this folder, at any depth: a path or a name.",
    ),
    click.option("--longer", callback=parse_time, metavar="TIME", help="Only files of at least this length."),
    click.option("--shorter", callback=parse_time, metavar="TIME", help="Only files of at most this length."),
    click.option("--rate", callback=_rate, metavar="HZ", help="Only files of this sample rate: 48000 or 44.1k."),
    *_RECORDED,
    click.option(
        "--where", metavar="SQL", help="Only what this holds for, such as \"duration < 5 AND codec LIKE 'FLAC%'\"."
    ),
)


def filters(command: Command) -> Command:
    """Options of which sounds are meant; all but ``--where`` are read by `pop_filter`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def recorded(command: Command) -> Command:
    """Options of where and when something was recorded, read by `pop_recording`."""
    for option in reversed(_RECORDED):
        command = option(command)
    return command


def deployed(command: Command) -> Command:
    """The options of `recorded`, and where files that are in no library were recorded; read by `pop_deployed`."""
    sites = click.option(
        "--deployments", "sites", type=common_options.LocalPath(must_exist=True), metavar="CSV|LIBRARY",
        help="Says which site files were recorded at; else their names, or folders, do.",
    )  # fmt: skip
    return recorded(sites(command))


def pop_deployed(given: dict[str, Any]) -> dict[str, Any]:
    """``where`` and ``deployments``, as detection takes them, taken out of the arguments of a command."""
    from soundloom.library import Deployments, Library, RecordingFilter

    sites: Path | None = given.pop("sites")
    where = RecordingFilter(**pop_recording(given))
    if sites is None:
        return {"where": where}
    found = Library.open(sites).annotations.deployments() if sites.is_dir() else Deployments.read(sites)
    return {"where": where, "deployments": found}


def print_unmatched(deployments: Deployments, files: Sequence[str]) -> None:
    """Say which deployments no file fits, and how many files fit none."""
    from soundloom.library.search.fields.deployments import site_by_name

    idle, by_name = deployments.unmatched(files)
    if idle:
        names = ", ".join(printable(one.path) for one in idle[:3]) + (", ..." if len(idle) > 3 else "")
        echo(f"deployments that no file fits: {names}", err=True)
    if by_name and deployments.rows:
        sites = sorted(set(map(site_by_name, by_name)))
        names = ", ".join(map(printable, sites[:3])) + (", ..." if len(sites) > 3 else "")
        echo(f"{counted(len(by_name), 'file')} in no deployment, with sites by their names: {names}", err=True)


def pop_recording(given: dict[str, Any]) -> dict[str, Any]:
    """The conditions of a `RecordingFilter`, which are taken out of the arguments of a command."""
    return {name: given.pop(name) for name in ("site", "hours", "after", "before")}


def pop_filter(given: dict[str, Any]) -> RowFilter:
    """The filter that the options describe, which are taken out of the arguments of a command."""
    from soundloom.library import RowFilter

    return RowFilter(
        tags=given.pop("tags"),
        folder=given.pop("inside"),
        longer=given.pop("longer"),
        shorter=given.pop("shorter"),
        sample_rate=given.pop("rate"),
        **pop_recording(given),
    )
