"""``soundloom search``: find what sounds like a sound."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import options
from soundloom.cli.console import hits_table, model_loader, print_json

__all__ = ["command"]


@click.command("search")
@click.argument("query", type=click.Path(path_type=Path))
@options.library
@click.option("-k", "count", type=click.IntRange(min=1), default=10, show_default=True, help="How many hits.")
@click.option("--start", type=float, default=0.0, metavar="SECONDS", help="Where in the query to begin.")
@click.option("--end", type=float, metavar="SECONDS", help="Where in the query to stop.")
@click.option("--weights", metavar="PART=W,...", help="How much each part counts; 0 leaves it out, below 0 repels.")
@click.option("--where", metavar="SQL", help='Only segments for which this holds, such as "duration < 5".')
@click.option("--include-query", is_flag=True, help="Let a query from the library find itself.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="PNG", help="Also draw the query and its hits.")
@options.offline
@options.as_json
def command(
    query: Path,
    folder: Path,
    count: int,
    start: float,
    end: float | None,
    weights: str | None,
    where: str | None,
    include_query: bool,
    picture: Path | None,
    offline: bool,
    json_wanted: bool,
) -> None:
    """Find what sounds like a sound.

    \b
    Examples:
      soundloom search dog.wav
      soundloom search dawn.flac --start 12.5 --end 14 -l field.loom -k 20
      soundloom search dog.wav --weights logmel=1,mfcc=0 --where "duration < 5 AND path LIKE '%/forest/%'"
      soundloom search dog.wav --where "array_has(tags, 'bark')" --picture hits.png
    """
    from soundloom.library import Library

    with model_loader(offline=offline) as loader:
        library = Library.open(folder, loader=loader)
        hits = library.search(
            query,
            count,
            start=start,
            end=end,
            weights=options.parse_weights(weights),
            where=where,
            include_query=include_query,
        )
    if json_wanted:
        print_json(hits)
    elif hits:
        hits_table(hits, f"most like {query}")
    else:
        click.echo("nothing found: the library is empty, or nothing in it satisfies --where", err=True)
    if picture and hits:
        from soundloom.library.pictures import draw_hits

        draw_hits(picture, query, start, end, hits, library.model.sample_rate)
        click.echo(f"drawn to {picture}", err=True)
