"""``soundloom tag --examples``: from a few sounds marked yes or no, which others a tag fits."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import cell, echo, print_copies, print_json, table_console
from soundloom.cli.option_types import FiniteNumber, Integer
from soundloom.cli.search_query import names_remedy, query_terms
from soundloom.counted import counted
from soundloom.errors import QueryError
from soundloom.safe_text import printable
from soundloom.term_syntax import refuse_rest, split_region

if TYPE_CHECKING:
    from soundloom.library import Edit, ExampleTagging, Library, SegmentRef, SuggestedSegment

__all__ = ["command", "parse_mark"]

_ID = re.compile("[0-9a-f]{16}")


@click.command("examples")
@common_options.library
@click.option("--examples", is_flag=True, help="Tag by example; may be left out where --tag says so.")
@click.option("--tag", required=True, metavar="TAG", help="The tag.")
@click.option(
    "--yes",
    "yes",
    multiple=True,
    metavar="SOUND",
    help="A sound that it fits: a file, or the name of one in the library; a region of it as FILE:FROM-TO.",
)
@click.option("--no", "no", multiple=True, metavar="SOUND", help="A sound that it does not fit.")
@click.option("-k", "count", type=Integer(min=1), default=10, show_default=True, help="How many to show.")
@click.option("--accept", type=Integer(min=1), metavar="N", help="Tag the N most probable.")
@click.option("--above", type=FiniteNumber(0, 1), metavar="P", help="Tag all that are at least so probable.")
@common_options.region_file
@common_options.as_json
def command(
    folder: Path,
    examples: bool,  # noqa: ARG001 (says which mode is meant)
    tag: str,
    yes: tuple[str, ...],
    no: tuple[str, ...],
    count: int,
    accept: int | None,
    above: float | None,
    out: Path | None,
    json_wanted: bool,
) -> None:
    """Tag by example: mark a few sounds of a library yes or no, see which others the tag fits.

    Shows the most probable ones, those to mark next, and how sure this is. With --accept or --above these are tagged,
    and so are the ones marked yes. Tags are written to the library, never into the sounds. --out writes all segments of
    the library that have the tag then; for every tag: soundloom tags --out.

    \b
    Examples:
      soundloom tag --examples --tag siren --yes a.wav --yes b.wav:3.0-5.0 --no c.wav
      soundloom tag --examples --tag siren --yes a.wav --no c.wav --above 0.9 --out labels.csv
    """
    from soundloom.library import Library

    library = Library.open(folder)
    report: dict[str, Any] = {"tag": tag, "tagged": 0}
    if yes:
        marks = [_mark(text, folder) for text in yes], [_mark(text, folder) for text in no]
        accepting = accept is not None or above is not None
        most = max(count, (accept or len(library)) if accepting else count)
        found = library.tags.by_example(tag, *marks, k=max(1, most))
        if accepting:
            edit = _accept(library, found, marks, accept, above)
            report |= {"tagged": edit.changed, "copies": list(edit.copies)}
        report |= {name: [_plain(one) for one in getattr(found, name)[:count]] for name in ("ranked", "doubtful")}
        report["quality"] = asdict(found.quality)
        if not json_wanted:
            _tell(found, count)
            if accepting:
                echo(f"{counted(report['tagged'], 'segment')} newly tagged {tag!r}", err=True)
                print_copies(report["copies"])
    elif no or accept or above is not None or out is None:
        raise QueryError("nothing to learn from: mark at least one sound with --yes")
    if out is not None:
        labels = library.tags.export(out, tag)
        echo(f"the tag {tag!r} of {counted(labels, 'segment')} written to {out}", err=True)
    if json_wanted:
        print_json(report)


def parse_mark(text: str) -> str | tuple[str, float, float]:
    """Read ``FILE``, ``FILE:FROM-TO`` or ``FILE@FROM-TO``, times as 12.5 or 1:30; a file that is called so is meant.

    A region without an end has an infinite one.

    >>> parse_mark("b.wav:3.0-5.0"), parse_mark("b.wav@0:30.5-1:02"), parse_mark("a.wav")
    (('b.wav', 3.0, 5.0), ('b.wav', 30.5, 62.0), 'a.wav')

    Raises:
        QueryError: what follows the name of a sound is no region.
    """
    name, start, end = split_region(text, any_name=True)
    refuse_rest(name)
    return text if name == text else (name, start, math.inf if end is None else end)


def _mark(text: str, folder: Path) -> SegmentRef:
    """A mark of a file, or of a sound of the library by as much of the end of its path as makes it unique."""
    mark = parse_mark(text)
    name = mark if isinstance(mark, str) else str(mark[0])
    if os.path.exists(os.path.expanduser(name)) or _ID.fullmatch(name):
        return mark
    sound = query_terms(folder).sound(name, names_remedy(name))
    if isinstance(mark, str):
        return (str(sound.source), sound.start, sound.end) if sound.end is not None else str(sound.source)
    return (str(sound.source), mark[1], mark[2])


def _accept(
    library: Library,
    found: ExampleTagging,
    marks: tuple[Sequence[SegmentRef], Sequence[SegmentRef]],
    accept: int | None,
    above: float | None,
) -> Edit:
    """Tag what is probable enough, and what was marked."""
    probable = [one for one in found.ranked if one.probability >= (above or 0.0)][:accept]
    return library.tags.edit(found.tag, add=[*marks[0], *probable], remove=marks[1])


def _plain(suggestion: SuggestedSegment) -> dict[str, Any]:
    return {"id": suggestion.id, **asdict(suggestion)}


def _tell(found: ExampleTagging, count: int) -> None:
    from rich.table import Table

    console = table_console(200)
    for title, suggestions in (
        (f"most probably {found.tag}", found.ranked),
        ("mark these next, with --yes or --no", found.doubtful),
    ):
        table = Table(title=cell(title, "bold"), title_justify="left", box=None, header_style="bold", pad_edge=False)
        table.add_column("#", justify="right")
        table.add_column("probability", justify="right")
        table.add_column("seconds", justify="right", no_wrap=True)
        table.add_column("file", overflow="fold")
        here = os.getcwd().rstrip(os.sep) + os.sep
        for rank, one in enumerate(suggestions[:count], start=1):
            path = cell(printable(one.path.removeprefix(here)))
            table.add_row(str(rank), f"{one.probability:.2f}", f"{one.start:.1f}-{one.end:.1f}", path)
        console.print(table)
    echo(found.quality.message)
