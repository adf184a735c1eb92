"""``soundloom merge``: one library of several that one model filled."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo
from soundloom.counted import counted

__all__ = ["command"]


@click.command("merge")
@click.argument("others", nargs=-1, type=common_options.LibraryPath(must_exist=True), metavar="LIBRARIES...")
@common_options.library
def command(others: tuple[Path, ...], folder: Path) -> None:
    """Take the sounds, fields and tags of other libraries over into one; nothing is embedded, and the others stay.

    They must be of one model, window and decoding. A file that both hold keeps its rows, and has the tags of both. A
    library that does not exist yet is made like the first. Detectors, saved searches and maps are not taken over.

    \b
    Examples:
      soundloom merge laptop.loom field.loom -l sounds.loom
    """
    if not others:
        raise click.UsageError(
            f"name the libraries to take over; -l is the one that takes them: soundloom merge laptop.loom -l {folder}"
        )
    from soundloom.library.library_merge import check_mergeable, merge_libraries

    check_mergeable(folder, others)
    for other in others:
        report = merge_libraries(folder, other)
        echo(
            f"{other}: {counted(report.files, 'file')}, {counted(report.segments, 'segment')} taken over into "
            f"{folder}, {report.known} held already."
        )
