"""``soundloom info``: what a library holds, or what a model is."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from soundloom.audio_suffixes import AUDIO_SUFFIXES
from soundloom.cli import common_options
from soundloom.cli.arrow_without_pandas import open_library
from soundloom.cli.console import clock, echo, print_failures, print_json, print_notices
from soundloom.cli.field_options import print_facets
from soundloom.cli.roots import roots_table
from soundloom.errors import QueryError
from soundloom.library.mirror import shown
from soundloom.library.saved_searches import SavedSearches
from soundloom.library.storage.exclusions import patterns_file, read_exclusions
from soundloom.library.storage.indexing_note import UNFINISHED

if TYPE_CHECKING:
    from soundloom.audio import DecodeOptions

__all__ = ["command"]


@click.command("info")
@click.argument("model", required=False, metavar="[MODEL|LIBRARY]")
@common_options.library_without_remark
@click.option("--facets", is_flag=True, help="Count a library's files by folder, tag, rate, codec, length, hour ...")
@common_options.offline
@common_options.as_json
def command(model: str | None, folder: Path, facets: bool, offline: bool, json_wanted: bool) -> None:
    """Show what a library holds: its model, its files, and those that could not be decoded. Or describe a model.

    Of a MODEL: its licence, sizes, layers and classes, and where its weights come from, which are not fetched.

    \b
    Examples:
      soundloom info sounds.loom
      soundloom info sounds.loom --facets
      soundloom info yamnet
      soundloom info hf:owner/name
    """
    if model is not None and (library := common_options.named_library(model, reports_unfinished=False)) is not None:
        folder, model = library, None
    if model is not None and os.path.splitext(model)[1].lower() in AUDIO_SUFFIXES and os.path.isfile(model):
        raise QueryError(
            f"{model!r} is a sound, and libraries and models are described here; what a library knows of it: "
            f"soundloom search --names --text {quote(Path(model).stem)} --columns sample_rate,channels,codec,recorded"
        )
    if model is not None:
        from soundloom.cli.model_info import print_model

        print_model(model, offline=offline, json_wanted=json_wanted)
        return
    if facets:
        print_facets(folder, (), json_wanted=json_wanted)
    else:
        _print_library(folder, json_wanted=json_wanted)


def _print_library(folder: Path, *, json_wanted: bool) -> None:
    library = open_library(folder)
    settings, failures, roots = library.settings, library.failures(), library.roots.all()
    notices = library.notices()
    of_files = [notice for notice in notices if notice.code != UNFINISHED]
    files, seconds = library.totals()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if json_wanted:
        facts = {"files": files, "segments": len(library), "seconds": seconds, "bytes": size}
        print_json(
            {
                "library": shown(folder),
                "settings": settings,
                **facts,
                "roots": roots,
                "exclude": read_exclusions(folder),
                "searches": SavedSearches(folder).all(),
                "notices": notices,
                "failures": failures,
            }
        )
        return
    parts = ", ".join(f"{name} ({last - first})" for name, (first, last) in settings.parts.items())
    for label, value in (
        ("library", shown(folder)),
        ("model", f"{settings.source or settings.model}, fingerprint {settings.fingerprint[:12]}"),
        ("weights", _weights(settings.source or settings.model, settings.weights)),
        ("engine", settings.engine),
        ("parts", parts),
        ("cut into", settings.cut_into),
        ("files", f"{files}, {clock(seconds)} of sound"),
        ("segments", str(len(library))),
        ("on disk", f"{size / 1e6:.1f} MB"),
        ("decoding", _decoding(settings.decoding)),
        ("left out", _exclusions(folder)),
        ("indexing", library.unfinished() or "done"),
        ("searches", _searches(folder)),
        ("noticed", str(len(of_files))),
        ("failed", str(len(failures))),
    ):
        echo(f"{label:>10}  {value}")
    for line in roots_table(roots):
        echo(line)
    print_notices(of_files, folder, every=True)
    print_failures(failures, of_library=True)


def _searches(folder: Path) -> str:
    saved = list(SavedSearches(folder).all())
    named = f"{len(saved)} saved in the page: {', '.join(saved)}; to ask one: soundloom search --saved NAME"
    return named if saved else "none saved in the page"


def _exclusions(folder: Path) -> str:
    patterns = read_exclusions(folder)
    return f"{', '.join(patterns)} (take one back in {patterns_file(folder)})" if patterns else "nothing by --exclude"


def _decoding(options: DecodeOptions) -> str:
    track = "" if options.track is None else f", track {options.track}"
    speed = "" if options.speed == 1 else f", at {options.speed:g} of the speed"
    return f"channels {options.channels}{track}{speed}" + (", cut files taken" if options.accept_truncated else "")


def _weights(model: str, weights: str | dict[str, str]) -> str:
    """Where the weights of a model come from."""
    from soundloom.packaged import is_packaged

    if is_packaged(model, weights):
        return "none to fetch"
    from soundloom.cli import listings

    if isinstance(weights, str):
        known = listings.models()
        parts = [model] if os.path.isdir(model) else [part.partition("#")[0] for part in model.split("+")]
        rows = [known.get(part) for part in parts if not os.path.isdir(part)]
        fetched = any(row is None or row.checkpoint is not None for row in rows)
        return weights if fetched or weights != "published" else "none to fetch"
    return ", ".join(f"{part} {place}" for part, place in weights.items())
