"""Queries of the command line: their terms, times and options, and how a query is named in what is printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from soundloom.cli.console import path_from_here
from soundloom.cli.player import find_player
from soundloom.errors import LibraryError
from soundloom.file_names import text_path
from soundloom.library.library_files import is_library
from soundloom.library.search.terms.query_terms import QueryTerms
from soundloom.library.search.terms.sound_names import SoundNames
from soundloom.term_syntax import seconds_of

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from soundloom.library import Failure, LibraryQuery, QuerySound, RowFilter

__all__ = [
    "check_library",
    "check_outputs",
    "failures",
    "names_remedy",
    "parse_time",
    "query_label",
    "query_terms",
    "query_title",
    "refuse_unused",
    "refuse_with_facets",
    "refuse_with_saved",
    "regions_cut",
    "sound_name",
]

_TOLERANCE = 0.1
_NAMED = 3
"""Sounds of a query that its title names."""
_QUESTION = frozenset(
    {"arguments", "like", "unlike", "text", "words", "not_words", "names_only", "start", "end", "weights", "share",
     "tags", "inside", "longer", "shorter", "rate", "site", "hours", "after", "before", "where"}
)  # fmt: skip
"""Parameters that say what is looked for."""


def check_library(folder: Path) -> None:
    """Refuse a folder that is no library.

    Raises:
        LibraryError: it is none.
    """
    if not is_library(folder):
        raise LibraryError(f"no library at {str(folder)!r}: make one with: soundloom index SOUNDS -l {folder}")


def check_outputs(picture: Path | None, copy_to: Path | None, library: Path, cut: bool, play: bool) -> None:
    """Refuse what cannot be written or played, before anything is loaded."""
    if play:
        find_player()
    if picture is not None and picture.suffix.lower() != ".png":
        raise click.UsageError(f"a picture is a PNG, got {str(picture)!r}: end its name in .png")
    if cut and copy_to is None:
        raise click.UsageError("--cut says what --copy-to copies: name a folder with --copy-to")
    if copy_to is not None and copy_to.resolve().is_relative_to(library.resolve()):
        raise click.UsageError(f"{str(copy_to)!r} is the library itself, and not for sounds: name another folder")


def parse_time(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """The value of an option that is a time: seconds, or ``1:30``, or hours as well."""
    try:
        return None if text is None else seconds_of(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time: write seconds such as 12.5, or 1:30") from None


def query_terms(folder: Path, *, names_only: bool = False) -> QueryTerms:
    """Reads the terms of queries of a library, by its index; it is opened only where that is missing or stale.

    Args:
        folder: the library's.
        names_only: whether text is looked for in names alone.
    """
    return QueryTerms(SoundNames(folder, lambda: _paths(folder), lambda: failures(folder)), names_only=names_only)


def _paths(folder: Path) -> pa.ChunkedArray:
    """The path of every segment of a library.

    Raises:
        LibraryError: there is no library, or it is damaged.
    """
    from soundloom.cli.arrow_without_pandas import convert_without_pandas
    from soundloom.library.search.current_rows import current_rows

    check_library(folder)
    convert_without_pandas()
    rows = current_rows(folder)
    if rows is None:  # the index is missing or stale, or the store is damaged, which opening it reports
        from soundloom.library import Library

        rows = Library.open(folder).index().rows
    return rows["path"]


def failures(folder: Path) -> list[Failure]:
    """The files that a library could not index."""
    from soundloom.library.search.current_rows import current_failures

    found = current_failures(folder)
    if found is not None:
        return found
    from soundloom.library import Library

    return Library.open(folder).failures()


def names_remedy(name: str) -> str:
    """What is offered where a command that takes sounds of a library finds none of a name."""
    return f"to see what the library has of that name: soundloom search --names {quote(name)}"


def refuse_unused(query: LibraryQuery, share: float) -> None:
    """Refuse options that a query makes no use of.

    Args:
        query: what is asked.
        share: that of the words where none was given.

    Raises:
        click.UsageError: there is one; says with what it has a use.
    """
    sounds, words = query.like or query.unlike, query.words or query.not_words
    compared = sounds or words
    if query.names_only and compared:
        raise click.UsageError("--names says where text is looked for: give text alone, without sounds or --word")
    if query.share != share and not (sounds and words):
        raise click.UsageError("--share weighs --word against a sound: give both")
    if query.weights and not (compared or query.text):
        raise click.UsageError("--weights says how much parts of a similarity count: give a sound, text or --word")
    if query.include_query and not query.like:
        raise click.UsageError("--include-query lets a sound find itself: give a sound")


def refuse_with_facets(context: click.Context) -> None:
    """Refuse options of how hits are listed, where files are counted instead.

    Raises:
        click.UsageError: one was given.
    """
    listing = ("count", "sort", "columns", "every_segment", "out", "copy_to", "play")
    given = [name for name in listing if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        flag = next(option.opts[-1] for option in context.command.params if option.name == given[0])
        raise click.UsageError(f"--facets counts files and lists none: leave out {flag}, or --facets")


def refuse_with_saved(context: click.Context) -> None:
    """Refuse what asks for something besides a saved search.

    Raises:
        click.UsageError: one such argument or option was given.
    """
    for option in context.command.params:
        if option.name in _QUESTION and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            flag = option.opts[-1] if isinstance(option, click.Option) else "QUERY"
            raise click.UsageError(f"--saved is a whole question: leave out {flag}, or --saved")


def regions_cut(query: LibraryQuery) -> list[str]:
    """The regions of a query's sounds that reach beyond the ends of these, in words; what is beyond is left out."""
    from soundloom.audio import info

    found = []
    for sound in (*query.like, *query.unlike):
        if sound.end is None or not isinstance(sound.source, str | Path):
            continue
        seconds = info(sound.source).duration
        if seconds is not None and sound.start < seconds < sound.end - _TOLERANCE:
            found.append(f"{sound.source} ends at {seconds:g} s: searched by {sound.start:g} to {seconds:g} s")
    return found


def query_title(query: LibraryQuery) -> str:
    """What was asked for."""
    sounds = [*_named("like", query.like), *_named("unlike", query.unlike)]
    words = [*query.words, *(f"not {word}" for word in query.not_words)]
    asked = " and ".join([*sounds, *words])
    among = [repr(query.text)] if query.text else []
    among += [f"tag {tag}" for tag in query.filter.tags]
    among += [f"folder {query.filter.folder}"] if query.filter.folder else []
    among += _limits(query.filter)
    among += [query.where] if query.where else []
    if not asked:
        return ", ".join(among) or "all files"
    return f"most {asked}" + (f", among {', '.join(among)}" if among else "")


def _named(how: str, sounds: Sequence[QuerySound]) -> list[str]:
    """The first sounds of a query, and how many more there are."""
    more = len(sounds) - _NAMED
    named = [f"{how} {sound_name(sound)}" for sound in (sounds if more < 2 else sounds[:_NAMED])]
    return named if more < 2 else [*named, f"{more} more"]


def sound_name(sound: QuerySound) -> str:
    """A sound as it is written on the command line."""
    written = path_from_here(str(sound.source)) + _region(sound)
    return written if sound.weight == 1 else f"{written}={sound.weight:g}"


def _region(sound: QuerySound) -> str:
    """The region of a sound as it is written after its name; empty for a whole one."""
    end = "" if sound.end is None else f"{sound.end:g}"
    return f"@{sound.start:g}-{end}" if sound.start or end else ""


def _limits(given: RowFilter) -> list[str]:
    """The lengths, rate and times that a filter asks for."""
    limits = (
        ("at least", given.longer, "s"),
        ("at most", given.shorter, "s"),
        ("at", given.sample_rate, "Hz"),
        ("at the site", given.site, ""),
        ("in the hours", _hours(given.hours), ""),
        ("after", _day(given.after), ""),
        ("before", _day(given.before), ""),
    )
    return [
        f"{name} {value:g} {unit}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value, unit in limits
        if value is not None
    ]


def _hours(hours: tuple[float, float] | None) -> str | None:
    # The date of a file says nothing of an hour, which where nothing is found somebody has to know.
    return None if hours is None else "{:g}-{:g} by names and headers".format(*hours)


def _day(moment: date | None) -> str | None:
    return None if moment is None else str(moment).removesuffix(" 00:00:00")


def query_label(query: LibraryQuery) -> str:
    """What the regions that are found are called in other programs."""
    words = text_path(" ".join(filter(None, (query.text, *query.words))))
    sounds = " ".join(text_path(Path(str(sound.source)).stem) + _region(sound) for sound in query.like)
    return words or (f"like {sounds}" if sounds else " ".join(query.filter.tags) or "found")
