"""``soundloom clusters``: groups of similar sounds in a library, with names, words and an example of each."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json
from soundloom.counted import counted
from soundloom.safe_text import printable

__all__ = ["command"]


@click.command("clusters")
@common_options.library
@click.option(
    "--weights", cls=common_options.ListOption, metavar="PART=W,...", help="How much each part counts; 0 leaves it out."
)
@common_options.as_json
def command(folder: Path, weights: str | None, json_wanted: bool) -> None:
    """List the clusters of a library, the largest first: name, words of the model, and the sound nearest the middle.

    They are the clusters of soundloom map, and need no map. A name is a tag or folder that sets a cluster apart.

    \b
    Examples:
      soundloom clusters -l sounds.loom
      soundloom clusters --weights timbre=0
      soundloom clusters --json
    """
    from soundloom.library import Library

    found = Library.open(folder).maps.clusters(common_options.parse_weights(weights))
    if json_wanted:
        print_json(found)
        return
    echo(counted(len(found), "cluster"))
    if found:
        echo("segments  files  name: words  (example)")
    for cluster in found:
        words = f": {', '.join(cluster.words)}" if cluster.words else ""
        example = printable(Path(cluster.example).name)
        echo(f"{cluster.segments:>8}  {cluster.files:>5}  {printable(cluster.name)}{words}  ({example})")
