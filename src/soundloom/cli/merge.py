"""``soundloom merge``: one library of several that one model filled."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo
from soundloom.counted import counted

__all__ = ["command"]


@click.command("merge")
@click.argument("others", nargs=-1, type=common_options.LibraryPath(must_exist=True), metavar="LIBRARIES...")
@common_options.library_without_remark
def command(others: tuple[Path, ...], folder: Path) -> None:
    """Take the sounds, fields, tags and annotations of other libraries over into one; nothing is embedded.

    The others stay as they are. All must be of one model, window and decoding. A file that both hold keeps its rows,
    and has the tags of both; annotations stay with the content that they are of. A library that does not exist yet is
    made like the first. Detectors, saved searches and maps are not taken over. A merge that was interrupted is finished
    by the same command.

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
    for number, other in enumerate(others, start=1):
        report = merge_libraries(folder, other, following=others[number:])
        echo(
            f"{other}: {counted(report.files, 'file')}, {counted(report.segments, 'segment')} taken over into "
            f"{folder}, {report.known} held already."
        )
        if report.lost_annotations:
            echo(
                f"{counted(report.lost_annotations, 'annotation')} of content that no file of {folder} has: kept, "
                f"until it is indexed; to see them: soundloom annotations list --gone -l {quote(str(folder))}",
                err=True,
            )
