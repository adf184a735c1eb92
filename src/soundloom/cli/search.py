"""``soundloom search``: one query of text, sounds, words of the model and filters."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, path_from_here, print_json
from soundloom.cli.field_options import check_fields, fields_of, parse_names, print_facets
from soundloom.cli.filter_options import filters, pop_filter
from soundloom.cli.match_output import copy_matches, draw_matches, name_unreadable, regions_of, write_regions
from soundloom.cli.match_table import print_matches
from soundloom.cli.model_loader import model_loader
from soundloom.cli.option_types import FiniteNumber, Integer
from soundloom.cli.player import play_matches
from soundloom.cli.search_query import (
    check_library,
    check_outputs,
    failures,
    parse_time,
    query_label,
    query_terms,
    query_title,
    refuse_unused,
    refuse_with_facets,
    refuse_with_saved,
    regions_cut,
    sound_name,
)
from soundloom.library.search.terms.sound_names import failed_file
from soundloom.option_hints import hints_as_flags, hints_for_query

if TYPE_CHECKING:
    from soundloom.library import Explanation, LibraryQuery, Match, QuerySound

__all__ = ["command"]

_SHARE = 0.5
_repeated = partial(click.option, multiple=True, type=common_options.Name())


@click.command("search")
@click.argument("arguments", nargs=-1, metavar="[QUERY]...")
@common_options.library
@click.option("--saved", type=common_options.Name(), metavar="NAME", help="What was saved in the page under this name.")
@_repeated("--like", metavar="SOUND", help="A sound that hits are like; repeated, also as a.wav=2.")
@_repeated("--unlike", metavar="SOUND", help="A sound that they are not like; can be repeated.")
@_repeated("--text", metavar="TEXT", help="Text of names, folders and tags, also if it is a file's.")
@_repeated("--word", "words", metavar="WORD", help="What the model takes the hits for; can be repeated.")
@_repeated("--not", "not_words", metavar="WORD", help="What it does not take them for; can be repeated.")
@filters
@click.option(
    "--sort",
    cls=common_options.ListOption,
    callback=parse_names,
    metavar="[-]FIELD,...",
    help="Order by fields; with a minus, from large to small.",
)
@click.option(
    "--columns",
    cls=common_options.ListOption,
    callback=parse_names,
    metavar="FIELD,...",
    help="Also show these fields: sample_rate, codec, month ...",
)
@click.option(
    "--facets",
    cls=common_options.ListOption,
    callback=parse_names,
    metavar="FIELD,...",
    help="Count the files by these fields instead of listing.",
)
@click.option("--names", "names_only", is_flag=True, help="Search text in names, folders and tags alone: no model.")
@click.option(
    "-k",
    "-n",
    "--limit",
    "--top",
    "count",
    type=Integer(min=1),
    default=10,
    show_default=True,
    help="How many hits.",
)
@click.option("--every-segment", is_flag=True, help="Every segment that is found, not the best of each file.")
@click.option(
    "--start", callback=parse_time, default="0", metavar="TIME", help="Where in the sound to begin, as 12.5 or 1:30."
)
@click.option("--end", callback=parse_time, metavar="TIME", help="Where in the sound to stop.")
@click.option(
    "--weights",
    cls=common_options.ListOption,
    metavar="PART=W,...",
    help="How much each part counts, times what the model counts it for: 1 if not named, 0 leaves it out, below 0 "
    "repels. A search by pitch alone: pitch=1,timbre=0,texture=0,general=0. Words are known to one part alone.",
)
@click.option(
    "--share",
    type=FiniteNumber(0, 1),
    default=_SHARE,
    show_default=True,
    metavar="B",
    help="How much --word counts beside a sound in the part that knows words; other parts compare the sound.",
)
@click.option("--include-query", is_flag=True, help="Let a query from the library find itself.")
@click.option("--explain", "explained", is_flag=True, help="Explain by which parts each hit is unusually like a sound.")
@click.option(
    "--picture", type=common_options.LocalPath(is_output=True), metavar="PNG", help="Also draw the sound and its hits."
)
@common_options.region_file
@click.option(
    "--copy-to",
    type=common_options.LocalPath(is_output=True),
    metavar="FOLDER",
    help="Copy the files of the hits there.",
)
@click.option("--play", is_flag=True, help="Play the regions of the hits, one after another; Ctrl-C ends it.")
@click.option("--cut", is_flag=True, help="With --copy-to: only the regions that were found, as WAV.")
@common_options.query_decoding
@common_options.offline
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    arguments: tuple[str, ...],
    folder: Path,
    count: int,
    offline: bool,
    cut: bool,
    play: bool,
    explained: bool,
    columns: tuple[str, ...],
    facets: tuple[str, ...],
    saved: str | None,
    **given: Any,
) -> None:
    """Find sounds by text, by sounds, and by words that the model knows.

    Each QUERY is a sound file, a region of one (dog.wav@12.5-14), the name of a sound in the library, or text. Text
    finds names, folders, titles and tags, and then what the model takes for it. Several texts must all be found;
    beside a sound, text says among which files. Each hit is a file and its best region, with its similarity (a cosine)
    and the share of the library that is less similar. Without a query, files are listed.

    Words need a library filled by a model that knows some: the default one, coala, or one of soundloom train coala. A
    library of a CLAP model (hf:laion/clap-htsat-unfused) takes the text as a sentence.

    \b
    Examples:
      soundloom search dog
      soundloom search "dog barking" --names
      soundloom search --text "rain on a tin roof" -l clap.loom
      soundloom search dog.wav
      soundloom search dawn.flac@1:30-1:34 -l field.loom -k 20
      soundloom search dog.wav forest                            like dog.wav, among what is called forest
      soundloom search --word bell --word metal --not water
      soundloom search door.wav --word metal --share 0.3
      soundloom search --like a.wav --like b.wav --unlike c.wav
      soundloom search dog.wav --tag farm --folder ambiences
      soundloom search --after 2024-05-01 --before 2024-06-01 --longer 1:00 --rate 48000
      soundloom search --sort -duration --columns sample_rate,channels,codec
      soundloom search --folder birds --facets month,sample_rate
      soundloom search --tag crow -k 1000 --out crows.selections.txt
      soundloom search rain --copy-to picked --cut
      soundloom search note.wav --weights timbre=0,texture=0,general=0
      soundloom search --saved "marsh at dawn" -k 100 --out marsh.csv
      soundloom search dog.wav --where "duration < 5" --explain --picture hits.png

    --explain adds, for each part, the percentage of the library's sounds that are less similar than the hit.
    """
    outputs = {name: given.pop(name) for name in ("picture", "out", "copy_to", "json_wanted")}
    check_outputs(outputs["picture"], outputs["copy_to"], folder, cut, play)
    query = _query(arguments, folder, **given) if saved is None else _saved(context, folder, saved, **given)
    refuse_unused(query, _SHARE)
    if not query.like and (outputs["picture"] or explained):
        raise click.UsageError("--picture and --explain set hits beside a sound: give a sound")
    query.check(count)
    if facets:
        refuse_with_facets(context)
        print_facets(folder, facets, query, json_wanted=outputs["json_wanted"])
        return
    _Search(context, folder, query, count, offline, columns).run(explained=explained, cut=cut, play=play, **outputs)


def _query(
    arguments: tuple[str, ...],
    library: Path,
    /,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    text: tuple[str, ...],
    start: float,
    end: float | None,
    weights: str | None,
    **given: Any,
) -> LibraryQuery:
    """The query that the arguments and options of the command line describe."""
    terms = query_terms(library, names_only=given["names_only"])
    sounds, named = terms.read(arguments)
    sounds = (*sounds, *map(terms.sound, like))
    unwanted = tuple(map(terms.sound, unlike))
    for remark in terms.remarks:
        echo(remark, err=True)
    from soundloom.library import LibraryQuery  # after what is no file is refused: it takes as long as that

    return LibraryQuery(
        text=" ".join(filter(None, (named, *text))),
        like=_with_region(sounds, start, end),
        unlike=unwanted,
        filter=pop_filter(given),
        weights=common_options.parse_weights(weights),
        **given,
    )


def _saved(
    context: click.Context,
    library: Path,
    name: str,
    *,
    sort: tuple[str, ...],
    every_segment: bool,
    include_query: bool,
    **_: Any,
) -> LibraryQuery:
    """The query that was saved under a name, with the options of how its hits are listed."""
    from soundloom.library import Library

    refuse_with_saved(context)
    check_library(library)
    query = Library.open(library).saved_query(name)
    return replace(query, sort=sort or query.sort, every_segment=every_segment, include_query=include_query)


def _with_region(sounds: tuple[QuerySound, ...], start: float, end: float | None) -> tuple[QuerySound, ...]:
    """The sounds, the only one cut to a region that the options give."""
    if not start and end is None:
        return sounds
    if len(sounds) != 1:
        raise click.UsageError("--start and --end are a region of one sound: write others as dog.wav@12.5-14")
    if sounds[0].start or sounds[0].end is not None:
        raise click.UsageError(
            f"{sound_name(sounds[0])} is a region already: leave out --start and --end, or what stands after @"
        )
    return (replace(sounds[0], start=start, end=end),)


class _Search:
    """One search of the command line, with the library only where rows of its index are not enough."""

    def __init__(
        self,
        context: click.Context,
        folder: Path,
        query: LibraryQuery,
        count: int,
        offline: bool,
        columns: tuple[str, ...] = (),
    ) -> None:
        self._context = context
        self._columns = columns
        self._fields: list[dict[str, Any]] = []
        self._folder = folder
        self._query = self._answered = query
        self._count = count
        self._offline = offline
        self._reasons: list[Explanation] | None = None
        itself = " besides the sound itself (--include-query)" if query.like else ""
        self._nothing = f"nothing found{itself}: {query_title(query)}"

    def run(
        self,
        *,
        explained: bool,
        picture: Path | None,
        out: Path | None,
        copy_to: Path | None,
        cut: bool,
        play: bool,
        json_wanted: bool,
    ) -> None:
        """Search, print, write and play what is wanted; ends the command with 1 where some of it could not be done."""
        check_fields(self._folder, [*self._columns, *(key.removeprefix("-") for key in self._query.sort)])
        matches = self._by_names()
        if matches is None:
            matches = self._by_model(explained, picture)
        if self._columns:
            self._fields = fields_of(self._folder, [match.path for match in matches], self._columns)
        complete = True
        if out is not None or copy_to is not None:  # before they are printed, whose reader may go
            regions = regions_of(matches, query_label(self._query), self._fields)
            if out is not None:
                write_regions(regions, out)
            if copy_to is not None:
                complete = copy_matches(self._folder, regions, copy_to, cut=cut)
        if json_wanted:
            print_json(self._records(matches))
        elif matches:
            print_matches(matches, query_title(self._answered), self._reasons, self._fields, self._query.weights)
        else:
            if self._query.names_only and (failed := failed_file(self._query.text, failures(self._folder))):
                echo(failed, err=True)
            echo(self._nothing, err=True)
        if self._query.names_only and not matches:
            complete = False  # as without --names
        unplayed = play_matches(matches) if play else []
        name_unreadable(self._folder, unplayed, "played")
        if unplayed or not complete:
            self._context.exit(1)

    def _by_names(self) -> list[Match] | None:
        """What text and filters find without a model; None if that is not all that was asked for."""
        from soundloom.cli.arrow_without_pandas import convert_without_pandas
        from soundloom.library.search.current_rows import current_fields
        from soundloom.library.search.library_query import facets, match_names, where_mask
        from soundloom.library.storage.root_registry import Presence, RootRegistry

        check_library(self._folder)
        convert_without_pandas()
        query = self._query
        if query.weights:
            from soundloom.library.storage.library_settings import LibrarySettings
            from soundloom.part_weights import complete_weights

            complete_weights(LibrarySettings.read(self._folder).parts, query.weights)
        fields = None if query.is_compared else current_fields(self._folder)
        if fields is None:
            return None
        allowed = None if query.where is None else where_mask(fields, query.where)
        if query.where is not None and allowed is None:
            return None
        absent = Presence(RootRegistry(self._folder)).absent
        found = match_names(fields, query, allowed, absent=absent, most=self._count)
        if not query.text and len(found) == self._count:
            total = facets(fields, query, ("name",)).files
            if total > len(found):
                echo(f"{len(found)} of {total} files: more with -k, fewer with text, a sound or a filter", err=True)
        return found if not query.text or query.names_only or len(found) >= self._count else None

    def _by_model(self, explained: bool, picture: Path | None) -> list[Match]:
        """What the library finds with its model."""
        from soundloom.audio import Notice
        from soundloom.library import Library

        notices: list[Notice] = []
        remarks: list[str] = []
        loader = model_loader(offline=self._offline)
        library = Library.open(self._folder, loader=loader)
        decoding = common_options.decode_options(self._context, library.settings.decoding)
        query = replace(self._query, decoding=decoding)
        sound = query.like[0] if query.like else None
        asked = [*query.like, *query.unlike]
        about = f"{sound_name(asked[0])}: " if len(asked) == 1 else ""  # one of several is named in the text
        try:
            matches = library.find(query, self._count, offline=self._offline, notices=notices, remarks=remarks)
        finally:
            for remark in (*(notice.text for notice in notices), *remarks):
                echo(about + path_from_here(hints_for_query(remark)), err=True)
        self._answered = matches.answered or query
        if not matches and not len(library.index()):
            self._nothing = "nothing found: the library holds no sounds: add some with soundloom index"
        if explained and sound is not None:
            self._reasons = library.explain(sound.source, matches, start=sound.start, end=sound.end, decoding=decoding)
        for remark in regions_cut(query):
            echo(remark, err=True)
        if picture is not None and sound is not None and matches:
            draw_matches(picture, sound, matches, library.model.sample_rate, decoding, library.settings.decoding)
        return matches

    def _records(self, matches: list[Match]) -> list[dict[str, object]]:
        """Matches as JSON has them: with the notices of their files, and percentiles by part if these are asked for."""
        from soundloom.library.search.current_rows import StoredTables
        from soundloom.library.storage.library_settings import LibrarySettings
        from soundloom.library.storage.store import Store
        from soundloom.library.storage.store_folders import store_folder

        records = [asdict(match) for match in matches]
        noticed: dict[str, list[dict[str, str]]] = {}
        store = Store(store_folder(self._folder), LibrarySettings.read(self._folder).dim)
        for notice in StoredTables(self._folder, store).notices() if records else ():
            noticed.setdefault(notice.path, []).append({"code": notice.code, "text": hints_as_flags(notice.text)})
        for record, match in zip(records, matches, strict=True):
            record["notices"] = noticed.get(match.path, [])
        for record, reason in zip(records, self._reasons or (), strict=self._reasons is not None):
            record["percentiles"] = reason.percentiles
        for record, values in zip(records, self._fields, strict=bool(self._fields)):
            record["fields"] = values
        return records
