"""``soundloom duplicates``: files of a library that are copies of each other."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_failures, print_json
from soundloom.cli.option_types import FiniteNumber
from soundloom.cli.progress_bars import step_bar
from soundloom.counted import counted
from soundloom.safe_text import printable

__all__ = ["command"]


@click.command("duplicates")
@common_options.library
@click.option("--exact", is_flag=True, help="Only files of the same content, byte for byte; no file is read.")
@click.option(
    "--similar",
    type=FiniteNumber(0, 1, min_open=True),
    metavar="SIMILARITY",
    help="Compare embeddings instead, at least so similar, such as 0.95; no file is read.",
)
@click.option(
    "--coverage",
    type=FiniteNumber(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    metavar="SHARE",
    help="How much of the longer sound its copy must have.",
)
@common_options.region_file
@common_options.workers
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    folder: Path,
    exact: bool,
    similar: float | None,
    coverage: float,
    out: Path | None,
    workers: int | None,
    json_wanted: bool,
) -> None:
    """Find files that are copies of each other: also coded otherwise, at another rate or level, or trimmed.

    Files of the same content are found by its hash, others by fingerprints of their sound, which are computed once.
    Steady tones, and sounds of less than about a third of a second, are found only by their content. The best of each
    group comes first: of the highest rate, the most channels and bits, the longest. Nothing is deleted. --similar finds
    files that the model takes for nearly the same, also other takes of a sound.

    \b
    Examples:
      soundloom duplicates -l sounds.loom
      soundloom duplicates --exact
      soundloom duplicates --similar 0.95
      soundloom duplicates --coverage 0.9 --out duplicates.csv
      soundloom duplicates --out duplicates.m3u8
    """
    if exact and similar is not None:
        raise click.UsageError("--exact takes files of one content, --similar those of similar sound: give one of them")
    from soundloom.annotations import Annotation, write_annotations
    from soundloom.library import Library

    library = Library.open(folder)
    library.check_filled()
    with nullcontext() if json_wanted else step_bar("fingerprints", "files") as progress:
        report = library.duplicates.find(
            exact=exact, similar=similar, coverage=coverage, workers=workers, progress=progress
        )
    if json_wanted:
        print_json(report)
    elif out is None:
        for number, group in enumerate(report.groups, start=1):
            echo(f"{number}:")
            for copy in group:
                agreement = "exact" if copy.exact else f"{copy.agreement:.0%}"
                echo(f"  {agreement:>5}  {copy.duration:8.1f} s  {printable(copy.path)}")
    if out is not None:
        regions = [
            Annotation(copy.path, 0.0, copy.duration, f"duplicate {number}", copy.agreement, copy.duration)
            for number, group in enumerate(report.groups, start=1)
            for copy in group
        ]
        out = write_annotations(regions, out)
    files = counted(sum(map(len, report.groups)), "file")
    echo(
        f"{counted(len(report.groups), 'group')} of duplicates, {files}" + (f", written to {out}" if out else ""),
        err=True,
    )
    if report.failed:
        echo(f"{counted(len(report.failed), 'file')} could not be compared:", err=True)
        print_failures(report.failed, of_library=True)
        context.exit(1)
