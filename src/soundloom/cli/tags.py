"""``soundloom tags``: the tags that sounds of a library were given; add, remove, rename, export."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.arrow_without_pandas import open_library
from soundloom.cli.command_group import CommandGroup
from soundloom.cli.console import echo, print_copies, print_json, print_list
from soundloom.cli.filter_options import filters, pop_filter
from soundloom.cli.search_query import names_remedy, query_terms, query_title
from soundloom.counted import counted
from soundloom.errors import LibraryError, QueryError
from soundloom.file_names import os_path

if TYPE_CHECKING:
    from soundloom.library import Edit, Library, LibraryQuery, SegmentRef

__all__ = ["command"]

_library = common_options.library_option("The library.")
_text = click.option("--text", metavar="TEXT", help="Sounds whose names, folders, titles or tags hold this.")
_sounds = click.argument("sounds", nargs=-1, metavar="[SOUNDS]...")
_tag = click.argument("tag", type=common_options.Name())


@click.group("tags", cls=CommandGroup, invoke_without_command=True)
@common_options.library
@common_options.region_file
@common_options.as_json
@click.pass_context
def command(context: click.Context, folder: Path, out: Path | None, json_wanted: bool) -> None:
    """List the tags that sounds were given, with how many segments have each; add, remove or rename them.

    Tags are kept with the library, never in the sounds. They belong to the content: files that are the same byte for
    byte share them, and what is changed for one is changed for all, which are named. soundloom tag suggests some;
    soundloom search --tag finds them.

    \b
    Examples:
      soundloom tags -l field.loom
      soundloom tags add crow crow1.wav dawn.flac@1:30-1:34
      soundloom tags add night --folder night --after 2024-05-01
      soundloom tags add dog --text "dog barking"
      soundloom tags add keeper --files hits.csv
      soundloom tags remove crow crow1.wav
      soundloom tags remove crow --everywhere
      soundloom tags rename crow "carrion crow"
      soundloom tags -o tags.csv
    """
    context.obj = folder
    if context.invoked_subcommand is not None:
        return
    _list_tags(folder, out, json_wanted=json_wanted)


@command.command("list")
@_library
@common_options.as_json
@click.pass_obj
def list_(parent: Path, folder: Path | None, json_wanted: bool) -> None:
    """List the tags that sounds were given; the same as soundloom tags.

    \b
    Examples:
      soundloom tags list -l field.loom
    """
    _list_tags(folder or parent, None, json_wanted=json_wanted)


def _list_tags(folder: Path, out: Path | None, *, json_wanted: bool) -> None:
    tags = open_library(folder).tags
    if out is not None:
        echo(f"{counted(tags.export(out), 'tag')} written to {out}", err=True)
        return
    counts = tags.counts()
    if json_wanted:
        print_json(counts)
    elif not counts:
        echo("no sound has a tag yet: give one with soundloom tags add TAG SOUNDS")
    else:
        width = max(len("segments"), *(len(str(count)) for count in counts.values()))
        echo(f"{'segments':>{width}}  tag")
        for tag, count in counts.items():
            echo(f"{count:>{width}}  {tag}")


@command.command("add")
@_tag
@_sounds
@common_options.files
@_text
@filters
@_library
@click.pass_obj
def add(parent: Path, /, tag: str, sounds: tuple[str, ...], folder: Path | None, **given: Any) -> None:
    """Give TAG to sounds: files, folders, regions (dawn.flac@1:30-1:34), or what text and filters find.

    Copies of the same content get it too.

    \b
    Examples:
      soundloom tags add crow crow1.wav dawn.flac@1:30-1:34
      soundloom tags add dog --text "dog barking"
      soundloom tags add long --longer 10:00 --rate 48000
      soundloom tags add keeper --files hits.csv
    """
    library, segments = _chosen(folder or parent, sounds, given)
    _report(library.tags.add(tag, segments), ("has", "have"), f"the tag {tag!r} now")
    if others := _others(library, tag):
        echo(
            f"the tag {_named_tags(others)} is another one: to make them one: "
            f"soundloom tags rename {quote(others[0])} {quote(tag)}",
            err=True,
        )


@command.command("remove")
@_tag
@_sounds
@common_options.files
@_text
@filters
@click.option("--everywhere", is_flag=True, help="From every sound that has it.")
@_library
@click.pass_obj
def remove(
    parent: Path, /, tag: str, sounds: tuple[str, ...], folder: Path | None, everywhere: bool, **given: Any
) -> None:
    """Take TAG from sounds, named as for soundloom tags add, or from all.

    Copies of the same content lose it too.

    \b
    Examples:
      soundloom tags remove crow crow1.wav
      soundloom tags remove crow --everywhere
    """
    segments: list[SegmentRef] | None = None
    if everywhere:
        library = open_library(folder or parent)
        tag = library.tags.spelling(tag)
        edit = library.tags.delete(tag)
    else:
        library, segments = _chosen(
            folder or parent, sounds, given, "; or --everywhere, which takes it from all that have it"
        )
        tag = library.tags.spelling(tag, segments)
        edit = library.tags.remove(tag, segments)
        if not (edit.changed or library.tags.spellings(tag)):
            library.tags.require(tag)
    _report(edit, ("no longer has", "no longer have"), f"the tag {tag!r}")
    if others := _others(library, tag, segments):
        echo(f"the tag {_named_tags(others)} is another one, and still given: name it to take it away", err=True)


@command.command("rename")
@click.argument("old")
@click.argument("new", type=common_options.Name())
@_library
@click.pass_obj
def rename(parent: Path, old: str, new: str, folder: Path | None) -> None:
    """Call the tag OLD by the name NEW, wherever it was given; a tag NEW that is there already takes its sounds in.

    \b
    Examples:
      soundloom tags rename crow "carrion crow"
    """
    tags = open_library(folder or parent).tags
    there, old = tags.counts().get(new.strip(), 0), tags.spelling(old)
    edit = tags.rename(old, new)
    joined = f", which {counted(there, 'segment')} had before: the two are one now" if there else ""
    _report(edit, ("has", "have"), f"the tag {new!r} instead of {old!r}{joined}")


def _others(library: Library, tag: str, segments: list[SegmentRef] | None = None) -> list[str]:
    """The tags that searches take for the same, of the library or of some segments."""
    return [name for name in library.tags.spellings(tag, segments) if name != tag.strip()]


def _named_tags(tags: Sequence[str]) -> str:
    return " and ".join(map(repr, tags))


def _chosen(
    folder: Path, sounds: Sequence[str], given: dict[str, Any], others: str = ""
) -> tuple[Library, list[SegmentRef]]:
    """The library, and the segments that the arguments and options of a command mean.

    Args:
        folder: the library's.
        sounds: as they are named.
        given: the options, of which those that say which sounds are meant are taken out.
        others: what else may say it, in words.
    """
    from soundloom.library import LibraryQuery

    lists, text = given.pop("lists"), given.pop("text")
    query = LibraryQuery(text=text or "", filter=pop_filter(given), where=given.pop("where"))
    asked = bool(query.text or query.filter or query.where)
    if not (sounds or lists or asked):
        raise click.UsageError(f"say which sounds: files, --files LIST, --text TEXT, filters such as --folder{others}")
    if not all(sound.strip() for sound in sounds):
        raise click.UsageError("the name of a sound is empty: give it, or leave it out")
    if asked and (sounds or lists):
        raise click.UsageError("name sounds, or describe them by --text and filters, not both at a time")
    library = open_library(folder)
    if asked:
        found = library.select(query)
        if not found:
            raise _none_found(query)
        return library, found
    return library, [*(ref for sound in sounds for ref in _named(library, sound)), *_listed(library, lists)]


def _none_found(query: LibraryQuery) -> QueryError:
    """What is said where text and filters describe no sound of the library."""
    text = quote(query.text)
    by_model = (
        "; text is looked for in names, folders, titles and tags: to tag what the model takes for it: soundloom search "
        f"{text} -o hits.csv, then name --files hits.csv"
    )
    return QueryError(f"nothing found: {query_title(query)}; no tag was changed{by_model if query.text else ''}")


def _named(library: Library, sound: str) -> list[SegmentRef]:
    """A file, a region of one, or all files of a folder."""
    from soundloom.library import LibraryQuery, RowFilter

    if Path(sound).expanduser().is_dir():
        return library.select(LibraryQuery(filter=RowFilter(folder=sound)))
    try:
        found = query_terms(library.folder).sound(sound, names_remedy(sound))
    except QueryError:
        with suppress(QueryError):  # or a folder of the library by its name there
            return library.select(LibraryQuery(filter=RowFilter(folder=sound)))
        raise
    path = str(found.source)
    if not found.start and found.end is None:
        return [path]
    return [(path, found.start, float("inf") if found.end is None else found.end)]


def _listed(library: Library, lists: Sequence[str]) -> list[SegmentRef]:
    """What lists name: files of this machine, or of the library by the end of their paths; others are left out.

    Raises:
        LibraryError: there is none of them.
    """
    from soundloom.file_lists import read_file_list
    from soundloom.file_tables import FileMatcher

    files = [file for name in lists for file in read_file_list(name)]
    held = library.files()
    away = [file.name for file in files if file.path not in held and not Path(os_path(file.path)).exists()]
    matcher = FileMatcher(held, away) if away else None
    found: list[SegmentRef] = []
    missing = []
    for file in files:
        fitting = matcher.match(file.name) if matcher is not None and file.path not in held else ()
        if file.name in away and not fitting:
            missing.append(file.name)
            continue
        path = fitting[0] if len(fitting) == 1 else os_path(file.path)
        found.append(path if file.region is None else (path, *file.region))
    if missing:
        print_list(f"{counted(len(missing), 'file')} of the list left out, for not being in the library:", missing)
    if lists and not found:
        raise LibraryError("no file of the list is in the library: index it first, or write more of its path")
    return found


def _report(edit: Edit, verbs: tuple[str, str], what: str) -> None:
    """Say how many segments an edit changed, with a verb for one and for several, and which copies."""
    verb = verbs[edit.changed != 1]
    echo(
        f"{counted(edit.changed, 'segment')} {verb} {what}." if edit.changed else "nothing to change: it is so already."
    )
    print_copies(edit.copies, "also from" if "no longer has" in verbs else "also on")
