"""The arguments of ``soundloom search`` as a query: which of them are sounds, and which are text.

    dog.wav, ~/sounds/dog.wav     a file
    dog.wav@12.5-14, d.wav@1:30-  a region of one
    dog_07.wav                    no file here, but one of the library's, by the end of its path
    dog, "dog barking"            anything else is text

What has the ending of a sound or a separator of folders is meant as a file: if there is none, that is an error, which
names the nearest. Nothing here needs a model.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from soundloom.errors import LibraryError, QueryError
from soundloom.local_path import local_path
from soundloom.remote import is_address

if TYPE_CHECKING:
    from datetime import date

    from soundloom.library import LibraryQuery, QuerySound, RowFilter

__all__ = [
    "check_library",
    "parse_time",
    "query_label",
    "query_title",
    "read_arguments",
    "read_sound",
    "refuse_unused",
    "refuse_with_facets",
    "regions_cut",
]

_REGION = re.compile(r"(.+)@([0-9][0-9:.]*)?-([0-9][0-9:.]*)?")
_WEIGHT = re.compile(r"(.+)=(-?[0-9]+(?:\.[0-9]+)?|nan|inf)")
_ONE_TIME = re.compile(r"(.+)@([0-9][0-9:.]*)")
_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_OPERATOR = re.compile(r"(?<!\S)(?:OR(?!\S)|(?:NOT\s+|-)([^\W\d_]\S*))")
_NEAREST = 3
_ALIKE = 0.6
_FEW_ROWS = 2**16
_TOLERANCE = 0.1
_MOST_NAMES = 200_000
"""Names among which the nearest are looked for: more take seconds."""


def check_library(folder: Path) -> None:
    """Refuse a folder that is no library.

    Raises:
        LibraryError: it is none.
    """
    if not (folder / "library.json").is_file():
        raise LibraryError(f"no library at {str(folder)!r}: make one with: soundloom index SOUNDS -l {folder}")


def parse_time(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """The value of an option that is a time: seconds, or ``1:30``, or hours as well."""
    try:
        return None if text is None else _seconds(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time: write seconds such as 12.5, or 1:30") from None


def _seconds(text: str) -> float:
    """A time in seconds.

    >>> _seconds("12.5"), _seconds("1:30"), _seconds("1:02:03.5"), _seconds("500 ms"), _seconds("2min")
    (12.5, 90.0, 3723.5, 0.5, 120.0)
    """
    number = text.rstrip("".join(set("".join(_UNITS))))
    if (unit := text[len(number) :]) in _UNITS:
        return float(number) * _UNITS[unit]
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def read_arguments(arguments: Sequence[str], folder: Path) -> tuple[list[QuerySound], str]:
    """The sounds among some arguments, and the others as one text.

    Args:
        arguments: of the command line.
        folder: the library's, whose sounds may be named.

    Raises:
        QueryError: an argument that is meant as a file, and is none.
    """
    sounds, words = [], []
    for argument in arguments:
        if not argument.strip():
            raise QueryError("an argument is empty: write what to search for, or leave it out to list files")
        if os.path.isfile(os.path.join(argument, "library.json")):
            raise QueryError(f"{argument!r} is a library: say what to search for in it, with -l {argument}")
        if _is_meant_as_file(argument):
            sounds.append(read_sound(argument, folder))
        else:
            _refuse_operators(argument)
            words.append(argument)
    return sounds, " ".join(words)


def _refuse_operators(text: str) -> None:
    """Refuse a text that excludes or combines words as web searches do: here all words of a text must be found.

    Raises:
        QueryError: it has ``-word``, ``NOT`` or ``OR``; says how that is written.
    """
    found = _OPERATOR.search(text)
    if found is None or text == text.upper():
        return
    literal = f"as words: --text {text!r}"
    if found[0] == "OR":
        raise QueryError(
            f"all words of a text are searched for, and OR is no operator: search for each alone; {literal}"
        )
    raise QueryError(f"{found[0]!r} leaves out nothing in a text: write --not {found[1]}; {literal}")


def read_sound(argument: str, folder: Path, remedy: str = "as text: --text") -> QuerySound:
    """A sound: a file, one at an address, a region of one, or one of a library.

    Args:
        argument: of the command line.
        folder: the library's, whose sounds may be named.
        remedy: what is offered, before its name, where there is no such file, and none of a similar name.

    Raises:
        QueryError: there is no such file, or several of the library are called so; a folder, a pipe or a device.
    """
    argument, weight = _split_weight(argument)
    name, start, end = _split_region(argument)
    source = name if is_address(name) else _sound_file(name, folder, remedy)
    from soundloom.library import QuerySound  # imports NumPy

    return QuerySound(source, start=start, end=end, weight=weight)


def _split_weight(argument: str) -> tuple[str, float]:
    """A sound and how much it counts beside others, as in ``dog.wav=2``; a file whose own name looks so is itself."""
    found = _WEIGHT.fullmatch(argument)
    if found is None or os.path.exists(os.path.expanduser(argument)):
        return argument, 1.0
    return found[1], float(found[2])


def _sound_file(name: str, folder: Path, remedy: str) -> Path:
    """A file of this machine, or of the library by its name there."""
    path = local_path(name)
    if path.is_dir():
        raise QueryError(f"{name!r} is a folder: search by a sound in it, or among its sounds with --folder {name}")
    if not path.exists():
        return Path(_sound_of_library(name, folder, remedy))
    if not path.is_file():
        raise QueryError(f"{name!r} is not a regular file, such as a pipe: write the sound to a file first")
    return path


def _split_region(argument: str) -> tuple[str, float, float | None]:
    """A file and the seconds of it; a file whose own name looks so is itself.

    Raises:
        QueryError: one time instead of two.
    """
    single = _ONE_TIME.fullmatch(argument)
    if single is not None and _ends_as_sound(single[1]) and not os.path.exists(os.path.expanduser(argument)):
        raise QueryError(
            f"{single[2]!r} is one time, and a region has a start and an end: write {single[1]}@START-END, or "
            f"{argument}- for all that follows"
        )
    found = _REGION.fullmatch(argument)
    if found is None or os.path.exists(os.path.expanduser(argument)) or not (found[2] or found[3]):
        return argument, 0.0, None
    try:
        return found[1], _seconds(found[2] or "0"), _seconds(found[3]) if found[3] else None
    except ValueError:
        return argument, 0.0, None


def _is_meant_as_file(argument: str) -> bool:
    name = _split_region(argument)[0]
    if name != argument or os.path.isfile(os.path.expanduser(name)) or os.sep in name or "/" in name:
        return True
    before, at, region = name.rpartition("@")
    if at and _ends_as_sound(before):
        raise QueryError(f"{region!r} is no region of {before}: write {before}@START-END, in seconds or as 1:30")
    return _ends_as_sound(name)


def _ends_as_sound(name: str) -> bool:
    from soundloom.audio_suffixes import AUDIO_SUFFIXES

    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _sound_of_library(name: str, folder: Path, remedy: str) -> str:
    """The path of the library's sound that a name stands for.

    Raises:
        LibraryError: there is no library, or it is damaged.
        QueryError: none, or several.
    """
    from soundloom.cli.arrow_without_pandas import convert_without_pandas
    from soundloom.file_tables import FileMatcher
    from soundloom.library.search.current_rows import current_rows

    check_library(folder)
    convert_without_pandas()
    rows = current_rows(folder)
    if rows is None:  # the index is missing or stale, or the store is damaged, which opening it reports
        from soundloom.library import Library

        rows = Library.open(folder).index().rows
    column = rows["path"]
    few = len(column) < _FEW_ROWS  # unique() imports pyarrow.compute, which takes as long as a start of Python
    paths = list(dict.fromkeys(column.to_pylist())) if few else column.unique().to_pylist()
    beginning = _stem(name) if name.isascii() and "\\" not in name else ""
    alike = [path for path in paths if os.path.basename(path).casefold().startswith(beginning)]
    found = FileMatcher(alike, [name]).match(name)
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(map(repr, found[:_NEAREST]))
        raise QueryError(f"{len(found)} sounds of the library are called {name!r}: write more of the path ({shown})")
    near = _nearest(name, paths)
    raise QueryError(
        f"there is no file or folder {name!r}, and no sound of that name in {str(folder)!r}: "
        + (f"did you mean {' or '.join(map(repr, near))}?" if near else f"check the path; {remedy} {name!r}")
    )


def _nearest(name: str, paths: Sequence[str]) -> list[str]:
    """The files beside a missing one, and the sounds of the library, that are called most like it."""
    folder, wanted = os.path.split(os.path.expanduser(name))
    try:
        sounds = [entry for entry in sorted(os.listdir(folder or ".")) if _ends_as_sound(entry)]
        beside = [os.path.join(os.path.dirname(name), entry) for entry in sounds]
    except OSError:
        beside = []
    # By their names without the ending, which most have in common.
    known = {_stem(path): path for path in (*map(os.path.basename, paths[:_MOST_NAMES]), *beside)}
    stem = _stem(wanted)
    # Of other lengths none is alike: the ratio is at most 2 min(a, b) / (a + b).
    possible = [one for one in known if 2 * min(len(one), len(stem)) >= _ALIKE * (len(one) + len(stem))]
    return [known[near] for near in difflib.get_close_matches(stem, possible, n=_NEAREST, cutoff=_ALIKE)]


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0].casefold()


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
    sounds = [f"like {_name(sound)}" for sound in query.like] + [f"unlike {_name(sound)}" for sound in query.unlike]
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


def _name(sound: QuerySound) -> str:
    """A sound as it is written on the command line."""
    region = "" if sound.end is None else f"{sound.end:g}"
    written = f"{sound.source}@{sound.start:g}-{region}" if sound.start or region else str(sound.source)
    return written if sound.weight == 1 else f"{written}={sound.weight:g}"


def _limits(given: RowFilter) -> list[str]:
    """The lengths, rate and times that a filter asks for."""
    limits = (
        ("longer than", given.longer, "s"),
        ("shorter than", given.shorter, "s"),
        ("at", given.sample_rate, "Hz"),
        ("at the site", given.site, ""),
        ("in the hours", None if given.hours is None else "{:g}-{:g}".format(*given.hours), ""),
        ("after", _day(given.after), ""),
        ("before", _day(given.before), ""),
    )
    return [
        f"{name} {value:g} {unit}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value, unit in limits
        if value is not None
    ]


def _day(moment: date | None) -> str | None:
    return None if moment is None else str(moment).removesuffix(" 00:00:00")


def query_label(query: LibraryQuery) -> str:
    """What the regions that are found are called in other programs."""
    words = " ".join(filter(None, (query.text, *query.words)))
    sounds = " ".join(Path(str(sound.source)).stem for sound in query.like)
    return words or (f"like {sounds}" if sounds else " ".join(query.filter.tags) or "found")
