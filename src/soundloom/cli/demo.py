"""``soundloom demo``: synthetic sounds made, indexed and searched, as a demonstration."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import clock, echo, print_failures
from soundloom.cli.match_table import print_matches
from soundloom.cli.progress_bars import progress_bar
from soundloom.counted import counted
from soundloom.errors import QueryError
from soundloom.library.library_files import is_library

__all__ = ["command"]

_QUERIES = ("siren", "bird", "rain")
"""Families of the synthesiser that are searched for when there are no sounds of the user's."""


@click.command("demo")
@click.option("-o", "--out", type=common_options.LocalPath(), default="demo", show_default=True, help="Where to write.")
@click.option(
    "--sounds", type=common_options.LocalPath(must_exist=True), help="Your own folder.  [default: synthesised sounds]"
)
@click.option(
    "--query",
    type=common_options.LocalPath(must_exist=True),
    help="A sound to search by.  [default: one of the sounds]",
)
def command(out: Path, sounds: Path | None, query: Path | None) -> None:
    """Index sounds, search them by example, and draw what was found.

    \b
    Examples:
      soundloom demo
      soundloom demo --sounds ~/sounds --query dog.wav
    """
    from soundloom.library import Library, LibraryQuery, QuerySound
    from soundloom.library.hits_picture import draw_hits
    from soundloom.synth import write_set

    if sounds is None:
        sounds = out / "sounds"
        echo(f"making {counted(len(write_set(sounds)), 'sound')} in {sounds}", err=True)
        folder = out / "sounds.loom"
    else:
        folder = out / f"{sounds.resolve().name or 'sounds'}.loom"
    library = Library.open(folder) if is_library(folder) else Library.create(folder)
    with progress_bar("indexing") as progress:
        report = library.add(sounds, progress=progress)
    files, seconds = library.totals()
    echo(f"{folder} holds {counted(files, 'file')}, {clock(seconds)} of sound", err=True)
    print_failures(report.failed)

    known = library.files()
    if not known:
        raise QueryError(f"there is no sound in {str(sounds)!r} to search by: give another folder")
    if query is not None:
        queries = [str(query)]
    else:
        members = [[path for path in known if Path(path).parent.name == family] for family in _QUERIES]
        queries = [paths[len(paths) // 2] for paths in members if paths] or known[:1]
    for number, path in enumerate(queries):
        sound = QuerySound(path)
        hits = library.find(LibraryQuery(like=(sound,)), 8)
        echo()
        print_matches(hits, f"most like {path}")
        if number == 0 and hits:
            picture = out / "hits.png"
            draw_hits(picture, sound, hits, library.model.sample_rate)
            echo(f"drawn to {picture}", err=True)
    echo(f"\nGo on with:  soundloom search SOUND -l {folder}")
