"""``soundloom map``: a two-dimensional layout of a library, computed, stored and drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json
from soundloom.counted import counted

if TYPE_CHECKING:
    from soundloom.library import Library, Map, MapProgress

__all__ = ["command"]


@click.command("map")
@common_options.library
@click.option(
    "-o",
    "--out",
    type=common_options.LocalPath(is_output=True),
    callback=common_options.picture_file,
    metavar="PNG",
    help="Also draw it.",
)
@click.option(
    "--page",
    type=common_options.LocalPath(),
    metavar="FOLDER",
    help="Also write it with its sounds, as a folder whose index.html any browser opens.",
)
@common_options.steering
@click.option("--recompute", is_flag=True, help="Compute it anew even if one is kept.")
@common_options.as_json
def command(
    folder: Path, out: Path | None, page: Path | None, weights: str | None, recompute: bool, json_wanted: bool
) -> None:
    """Lay out a library in two dimensions, what sounds alike together.

    The map is kept in the library, one for each set of weights, and is there at once the next time. When sounds were
    added since, they are placed among their neighbours; --recompute arranges all of them anew.

    \b
    Examples:
      soundloom map -l sounds.loom --out map.png
      soundloom map -l sounds.loom --weights logmel=0 --out cepstra.png
      soundloom map -l sounds.loom --page mapped
    """
    from soundloom.library import Library

    library = Library.open(folder)
    library.check_filled()
    with _bar() as progress:
        made = library.maps.get(common_options.parse_weights(weights), progress, recompute=recompute)
    sizes = [int((made.clusters == cluster).sum()) for cluster in range(len(made.names))]
    if out is not None:
        from soundloom.pictures.plane import plane_picture

        plane_picture(made.coordinates, made.clusters, made.names, out, title=folder.name)
        echo(f"drawn to {out}", err=True)
    if page is not None:
        _write_page(library, made, page)
    if json_wanted:
        clusters = [{"name": name, "segments": size} for name, size in zip(made.names, sizes, strict=True)]
        facts = {"segments": len(made), "stale": made.stale, "placed": made.placed, "gone": made.gone}
        print_json({**facts, "weights": made.weights, "clusters": clusters})
        return
    echo(f"{counted(len(made), 'segment')} in {counted(len(made.names), 'cluster')}")
    for name, size in zip(made.names, sizes, strict=True):
        echo(f"{size:>9}  {name}")
    if made.stale:
        echo(
            f"the library has changed since this map was computed: {made.placed} segments were placed among their "
            f"neighbours, {made.gone} are gone. Arrange all anew with --recompute.",
            err=True,
        )


def _write_page(library: Library, made: Map, page: Path) -> None:
    """Write the folder for a browser; sounds that cannot be read are reported, and their points stay."""
    from soundloom.integrations.static_map import export_map

    failed = export_map(library, made, page)
    for path, reason in failed.items():
        echo(f"{path}: {reason}", err=True)
    echo(f"written to {page / 'index.html'}", err=True)


@contextmanager
def _bar() -> Iterator[Callable[[MapProgress], None]]:
    """A bar with what is being done; nothing if standard error is not a terminal."""
    from rich import progress
    from rich.console import Console

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.TaskProgressColumn())
    console = Console(stderr=True)
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, visible=False)

        def advance(reached: MapProgress) -> None:
            bar.update(task, description=reached.phase, completed=reached.share, visible=True)

        yield advance
