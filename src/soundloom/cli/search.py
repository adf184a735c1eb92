"""``soundloom search``: find what sounds like a sound, what some words describe, or both at once."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, hits_table, model_loader, print_json

if TYPE_CHECKING:
    from soundloom.audio import Notice
    from soundloom.library import Explanation, Hit, Library

__all__ = ["command"]


@click.command("search")
@click.argument("query", type=common_options.LocalPath(must_exist=True), required=False)
@common_options.library
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="What the hits are; can be repeated.")
@click.option("--not", "unwanted", multiple=True, metavar="WORD", help="What the hits are not; can be repeated.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="B",
    help="How much the words count beside the sound.",
)
@click.option("-k", "count", type=click.IntRange(min=1), default=10, show_default=True, help="How many hits.")
@click.option("--start", type=float, default=0.0, metavar="SECONDS", help="Where in the query to begin.")
@click.option("--end", type=float, metavar="SECONDS", help="Where in the query to stop.")
@click.option("--weights", metavar="PART=W,...", help="How much each part counts; 0 leaves it out, below 0 repels.")
@click.option("--where", metavar="SQL", help='Only segments for which this holds, such as "duration < 5".')
@click.option("--include-query", is_flag=True, help="Let a query from the library find itself.")
@click.option(
    "--explain", "explained", is_flag=True, help="Show by which parts each hit is unusually similar to the sound."
)
@click.option("--picture", type=common_options.LocalPath(), metavar="PNG", help="Also draw the query and its hits.")
@common_options.query_decoding
@common_options.offline
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    query: Path | None,
    folder: Path,
    tags: tuple[str, ...],
    unwanted: tuple[str, ...],
    share: float,
    count: int,
    start: float,
    end: float | None,
    weights: str | None,
    where: str | None,
    include_query: bool,
    explained: bool,
    picture: Path | None,
    offline: bool,
    json_wanted: bool,
) -> None:
    """Find what sounds like a sound, what some words describe, or both at once.

    Words need a library filled by a model that knows some: the default one, coala, or one of soundloom train coala.

    \b
    Examples:
      soundloom search dog.wav
      soundloom search --tag bell --tag metal --not water
      soundloom search door.wav --tag metal --share 0.3
      soundloom search dawn.flac --start 12.5 --end 14 -l field.loom -k 20
      soundloom search note.wav --weights timbre=0,texture=0,general=0
      soundloom search dog.wav --where "duration < 5 AND path LIKE '%/forest/%'"
      soundloom search dog.wav --where "array_has(tags, 'bark')" --explain --picture hits.png

    --explain adds, for each part, the percentage of the library's sounds that are less similar than the hit.
    """
    from soundloom.library import Library

    if query is None and not tags and not unwanted:
        raise click.UsageError("nothing to search for: give a sound, or words with --tag")
    if query is None and (picture or explained):
        raise click.UsageError("--picture and --explain set hits beside a sound: give a sound")
    steering: dict[str, Any] = {"start": start, "end": end, "where": where, "include_query": include_query}
    steering["weights"] = common_options.parse_weights(weights)
    notices: list[Notice] = []
    with model_loader(offline=offline) as loader:
        library = Library.open(folder, loader=loader)
        steering |= {"notices": notices, "decoding": common_options.decode_options(context, library.settings.decoding)}
        if query is None or tags or unwanted:
            hits = library.search_tags(
                tags, count, not_=unwanted, sound=query, share=share, offline=offline, **steering
            )
        else:
            hits = library.search(query, count, **steering)
        reasons = _explained(library, query, hits, steering) if explained and query is not None else None
    for notice in notices:
        echo(f"{query}: {notice.text}", err=True)
    _print(hits, reasons, _title(query, tags, unwanted), json_wanted)
    if picture and query is not None and hits:
        _draw(picture, query, hits, library, steering)


def _draw(picture: Path, query: Path, hits: list[Hit], library: Library, steering: dict[str, Any]) -> None:
    from soundloom.library.hits_picture import draw_hits

    region = steering["start"], steering["end"]
    draw_hits(picture, query, *region, hits, library.model.sample_rate, steering["decoding"], library.settings.decoding)
    echo(f"drawn to {picture}", err=True)


def _print(hits: list[Hit], reasons: list[Explanation] | None, title: str, json_wanted: bool) -> None:
    """Print what was found."""
    if json_wanted:
        print_json(hits if reasons is None else _with_reasons(hits, reasons))
    elif hits:
        hits_table(hits, title, reasons)
    else:
        echo("nothing found: the library is empty, or nothing in it satisfies --where", err=True)


def _explained(library: Library, query: Path, hits: list[Hit], steering: dict[str, Any]) -> list[Explanation]:
    return library.explain(query, hits, **{name: steering[name] for name in ("start", "end", "decoding")})


def _with_reasons(hits: list[Hit], reasons: list[Explanation]) -> list[dict[str, Any]]:
    """Hits as JSON has them, with their percentiles."""
    return [{**asdict(hit), "percentiles": why.percentiles} for hit, why in zip(hits, reasons, strict=True)]


def _title(query: Path | None, tags: tuple[str, ...], unwanted: tuple[str, ...]) -> str:
    """What was asked for."""
    words = ", ".join([*tags, *(f"not {word}" for word in unwanted)])
    return f"most like {query}" + (f" and {words}" if words else "") if query is not None else f"most {words}"
