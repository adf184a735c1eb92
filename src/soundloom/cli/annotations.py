"""``soundloom annotations``: import, list, export, remove and count what is said of regions of a library's sounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from soundloom.cli import common_options
from soundloom.cli.command_group import CommandGroup
from soundloom.cli.console import echo, print_json, table_console
from soundloom.cli.filter_options import pop_recording, print_unmatched, recorded
from soundloom.counted import counted
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.annotations import Annotation
    from soundloom.library import AnnotationFilter

__all__ = ["command"]

Command = TypeVar("Command", bound=Callable[..., Any])

_GONE = "of content that is gone, at the last place known"
_FILTERS = (
    click.option("--label", metavar="LABEL", help="Only annotations with this label."),
    click.option("--annotator", metavar="NAME", help="Only those of this annotator."),
    click.option("--gone", is_flag=True, default=None, help="Only those whose content no file of the library has."),
)


def _filtered(command: Command) -> Command:
    command = recorded(command)
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def _where(given: dict[str, Any]) -> AnnotationFilter:
    from soundloom.library import AnnotationFilter

    return AnnotationFilter(
        **{name: given[name] for name in ("label", "annotator", "gone")}, **pop_recording(dict(given))
    )


def _found(folder: Path, given: dict[str, Any]) -> tuple[list[Annotation], str]:
    """The annotations that the options name, and what is said of those whose content is gone."""
    from soundloom.library import Library

    annotations = Library.open(folder).annotations
    found = annotations.with_ids(_where(given))
    lost = len(annotations.lost() & {number for number, _ in found})
    return [one for _, one in found], f"; {lost} {_GONE}" if lost else ""


@click.group("annotations", cls=CommandGroup)
def command() -> None:
    """Keep annotations with a library, where they follow the sounds when these move.

    \b
    Examples:
      soundloom annotations import june.selections.txt -l sounds.loom
      soundloom annotations deploy sites.csv -l sounds.loom
      soundloom annotations list -l sounds.loom --label crow --hours 4-8
      soundloom annotations counts -l sounds.loom --label crow -o crows.png
      soundloom annotations export -l sounds.loom crows.csv --label crow
      soundloom detector train crow --from sounds.loom
    """


@command.command("import")
@click.argument("tables", nargs=-1, required=True, type=common_options.LocalPath(must_exist=True), metavar="TABLE...")
@common_options.library
@click.option("--format", "format_", metavar="FORMAT", help="The table's format, if it is not recognised.")
@click.option("--sound", metavar="FILE", help="The sound, where the table does not name it and is not named after it.")
def import_(tables: tuple[Path, ...], folder: Path, format_: str | None, sound: str | None) -> None:
    """Take tables of Raven, Audacity, Kaleidoscope, BirdNET or hoplite, or CSV, into the library.

    A path in a table that leads to a file here is of that file, and of its copies in the library. One that leads
    nowhere is of the file in the library whose path ends alike; which were taken so is said. Rows
    that cannot be read are left out, and named by their line.
    """
    from soundloom.library import Library

    annotations = Library.open(folder).annotations
    for table in tables:
        report = annotations.import_table(table, format=format_, sound=sound)
        echo(report.said, err=True)
        known = f", {report.known} known already" if report.known else ""
        copies = f", {report.copies} more on copies of the same content" if report.copies else ""
        echo(f"{counted(report.added, 'annotation')} added{known}{copies}")
        if report.elsewhere:
            echo(
                f"{counted(len(report.elsewhere), 'name')} of the table that no file of the library fits, or several: "
                f"{', '.join(map(printable, report.elsewhere[:3]))}",
                err=True,
            )


@command.command("list")
@common_options.library
@_filtered
@common_options.as_json
def list_(folder: Path, json_wanted: bool, **given: Any) -> None:
    """List annotations: file, seconds, label, annotator."""
    found, gone = _found(folder, given)
    if json_wanted:
        print_json([one.record() for one in found])
        return
    for one in found:
        limits = "" if one.low is None and one.high is None else f"  {one.low or 0:g}-{one.high or 0:g} Hz"
        by = f"  {printable(one.annotator)}" if one.annotator else ""
        echo(f"{printable(one.path)}  {one.start:.2f}-{one.end:.2f}{limits}  {printable(one.label)}{by}")
    echo(f"{counted(len(found), 'annotation')}{gone}", err=True)


@command.command("export")
@common_options.library
@click.argument("name", required=False, type=common_options.LocalPath(), metavar="OUT")
@click.option("-o", "--out", type=common_options.LocalPath(), metavar="OUT", help="The same, as an option.")
@_filtered
def export(folder: Path, name: Path | None, out: Path | None, **given: Any) -> None:
    """Write annotations to a file, or a folder of Audacity labels; the ending says in which format.

    A CSV, JSON or parquet says of which content each is, so that an import gives it to that content alone. The tables
    of programs do not: those whose content is gone are left out of them.
    """
    from soundloom.annotations import takes_any_columns, write_annotations
    from soundloom.library import Library

    if (name is None) == (out is None):
        raise click.UsageError("name the file to write once: soundloom annotations export crows.csv, or -o crows.csv")
    out = name or out
    assert out is not None

    whole = takes_any_columns(out)
    found, gone = Library.open(folder).annotations.to_write(_where(given), any_columns=whole)
    out = write_annotations(found, out)
    said = _GONE if whole else "left out, of content that is gone: a file .csv holds them as well"
    echo(f"{counted(len(found), 'annotation')} written to {out}" + (f"; {gone} {said}" if gone else ""), err=True)


@command.command("remove")
@common_options.library
@_filtered
def remove(folder: Path, **given: Any) -> None:
    """Remove the annotations that the options name, at least one: --gone for those of sounds that are no more."""
    from soundloom.library import Library

    if all(value is None for value in given.values()):
        raise click.UsageError("say which: --label, --annotator, --gone, --site, --hours, --after or --before")
    removed = Library.open(folder).annotations.remove(_where(given))
    echo(f"{counted(removed, 'annotation')} removed")


@command.command("deploy")
@click.argument("table", type=common_options.LocalPath(must_exist=True), metavar="CSV")
@common_options.library
def deploy(table: Path, folder: Path) -> None:
    """Say where recorders were: a CSV with path, site and, if known, latitude, longitude, recorder and start.

    The path is a folder, or how the names of its files begin. Without a table the site is what stands before the date
    in a file's name, or its folder.
    """
    from soundloom.library import Library

    library = Library.open(folder)
    found = library.annotations.deploy(table)
    covered = sum(any(one.fits(path) for one in found.rows) for path in library.files())
    echo(f"{counted(len(found.rows), 'deployment')}, {counted(covered, 'file')} of the library in them")
    print_unmatched(found, library.files())


@command.command("counts")
@common_options.library
@click.option(
    "--of", "table", type=common_options.LocalPath(must_exist=True), metavar="TABLE",
    help="Count the regions of this table, such as what a detector found, instead of the library's annotations.",
)  # fmt: skip
@click.option(
    "-o", "--out", type=common_options.LocalPath(is_output=True), metavar="PNG", callback=common_options.picture_file,
    help="Draw a picture as well.",
)  # fmt: skip
@_filtered
@common_options.as_json
def counts(folder: Path, table: Path | None, out: Path | None, json_wanted: bool, **given: Any) -> None:
    """Count annotations, or detections, by site and hour of the day."""
    from rich.table import Table

    from soundloom.annotations import UNMARKED, read_annotations
    from soundloom.library import Library, hour_counts, site_and_moment
    from soundloom.pictures import hours_picture

    library, where = Library.open(folder), _where(given)
    annotations = library.annotations
    deployments, recorded = annotations.deployments(), annotations.recorded()
    if table is None:
        found = annotations.all(where)
    else:
        regions = read_annotations(table, sounds=library.files()).annotations
        every = [one for one in regions if one.label != UNMARKED]
        found = [one for one in every if where.holds(one, *site_and_moment(one, deployments, recorded))]
    by_site, timeless = hour_counts(found, deployments, recorded)
    if out is not None:
        hours_picture(by_site, out, title=f"{given['label'] or 'annotations'} by hour and site")
        echo(f"written to {out}", err=True)
    if json_wanted:
        print_json({"sites": by_site, "time_unknown": timeless})
        return
    shown = Table("site", *(f"{hour:02d}" for hour in range(24)), "all", box=None, pad_edge=False)
    for site, hours in by_site.items():
        shown.add_row(printable(site), *(str(count or "") for count in hours), str(sum(hours)))
    if by_site:
        table_console(140).print(shown)
    elif not timeless:
        echo("nothing was counted: there are no such annotations, or none of these recordings", err=True)
    if by_site and not deployments.rows:
        echo("sites are by the names of files and folders; otherwise: soundloom annotations deploy sites.csv", err=True)
    if timeless:
        echo(
            f"{timeless} left out, as neither the file's name nor its header says when it was recorded: rename the "
            "files (20240501_053000.wav), or give start in a table to: soundloom annotations deploy",
            err=True,
        )
