"""``soundloom clusters``: groups of similar sounds in a library, with names, words and an example of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json
from soundloom.counted import counted
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.library import Segment

__all__ = ["command"]


@click.command("clusters")
@common_options.library
@common_options.steering
@common_options.region_file
@common_options.as_json
def command(folder: Path, weights: str | None, out: Path | None, json_wanted: bool) -> None:
    """List the clusters of a library, the largest first: name, words of the model, and the sound nearest the middle.

    They are the clusters of soundloom map, and need no map. A name is what sets a cluster apart: tags, a folder, words
    of file names, or words of the model. --out writes every segment with the name of its cluster.

    \b
    Examples:
      soundloom clusters -l sounds.loom
      soundloom clusters --weights timbre=0
      soundloom clusters --json
      soundloom clusters -o clusters.csv
    """
    from soundloom.library import Library

    library = Library.open(folder)
    library.check_filled()
    maps, steered = library.maps, common_options.parse_weights(weights)
    if out is not None:
        _write(maps.members(steered), out)
        if not json_wanted:
            return
    found = maps.clusters(steered)
    if json_wanted:
        print_json(found)
        return
    echo(counted(len(found), "cluster"))
    echo("segments  files  name: words  (example)")
    for cluster in found:
        named = cluster.name.split(", ")
        others = [word for word in cluster.words if word.partition(",")[0] not in named]
        words = f": {', '.join(others)}" if others else ""
        example = printable(Path(cluster.example).name)
        echo(f"{cluster.segments:>8}  {cluster.files:>5}  {printable(cluster.name)}{words}  ({example})")


def _write(members: Sequence[tuple[Segment, str]], out: Path) -> None:
    """Write every segment as a region whose label is the name of its cluster."""
    from soundloom.annotations import Annotation, write_annotations

    regions = [Annotation(one.path, one.start, one.end, name, None, one.duration) for one, name in members]
    out = write_annotations(regions, out)
    names = {name for _, name in members}
    echo(f"{counted(len(regions), 'segment')} of {counted(len(names), 'cluster')} written to {out}", err=True)
