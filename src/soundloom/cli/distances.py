"""``soundloom distances``: a table of how similar the sounds of a library are to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo
from soundloom.cli.filter_options import filters, pop_filter
from soundloom.cli.option_types import Integer
from soundloom.cli.progress_bars import step_bar
from soundloom.counted import counted

__all__ = ["command"]


@click.command("distances")
@common_options.library
@click.option(
    *("-o", "--out"),
    type=common_options.LocalPath(is_output=True),
    required=True,
    metavar="FILE",
    help="Where to write: a .csv or .parquet file.",
)
@click.option("--nearest", type=Integer(min=1), default=10, show_default=True, help="How many others of each.")
@click.option("--all", "every", is_flag=True, help="Every pair: as many rows as the square of the segments.")
@click.option("--text", metavar="TEXT", help="Among sounds whose names, folders, titles or tags hold this.")
@filters
@common_options.steering
def command(
    folder: Path,
    out: Path,
    nearest: int,
    every: bool,
    text: str | None,
    where: str | None,
    weights: str | None,
    **given: Any,
) -> None:
    """Write how similar the sounds of a library are to each other: for each segment its nearest others, or all.

    The columns are path, start, other, other_start, similarity (a weighted mean of cosines) and distance, 1 minus it.

    \b
    Examples:
      soundloom distances -o nearest.csv -l sounds.loom
      soundloom distances -o all.parquet --all --folder birds
    """
    from soundloom.library import Library, LibraryQuery
    from soundloom.library.exports.distance_table import check_distance_file, write_distances

    check_distance_file(out)
    library = Library.open(folder)
    library.check_filled()
    query = LibraryQuery(text=text or "", filter=pop_filter(given), where=where)
    with step_bar("distances", "segments") as progress:
        pairs = write_distances(
            library,
            out,
            query=query,
            nearest=None if every else nearest,
            weights=common_options.parse_weights(weights),
            progress=progress,
        )
    echo(f"{counted(pairs, 'pair')}: {out}")
