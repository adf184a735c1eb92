"""``soundloom timeline``: a long recording in one picture, and its acoustic indices as a table."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo
from soundloom.cli.option_types import FiniteNumber
from soundloom.cli.tag_examples import parse_mark
from soundloom.counted import counted
from soundloom.local_path import local_path
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.annotations import Annotation
    from soundloom.audio import DecodeOptions

__all__ = ["command"]


@click.command("timeline")
@click.argument("sound", type=common_options.LocalPath(must_exist=True), metavar="FILE")
@click.option(
    "-o", "--out", type=common_options.LocalPath(is_output=True), metavar="PNG", callback=common_options.picture_file,
    help="[default: FILE.timeline.png, in the current folder]",
)  # fmt: skip
@click.option(
    "--detections", "tables", multiple=True, type=common_options.LocalPath(must_exist=True), metavar="TABLE",
    help="Show the regions of a table: of soundloom detect, or of another program. Can be repeated.",
)  # fmt: skip
@click.option("-d", "--detector", metavar="DETECTOR", help="Show what a detector finds.")
@click.option("--above", type=FiniteNumber(0, 1, min_open=True), default=0.5, show_default=True,
              metavar="P", help="Lowest probability of the detector.")  # fmt: skip
@click.option(
    "-l", "--library", "folder", cls=common_options.OnceOption,
    type=common_options.LibraryPath(must_exist=True), metavar="FOLDER",
    help="Show the annotations and tags of the file in a library.",
)  # fmt: skip
@click.option("--like", metavar="SOUND", help="Show the similarity to it: FILE, or FILE@FROM-TO.")
@click.option("--seconds", type=FiniteNumber(min=0, min_open=True), help="Of a column.  [default: what fits]")
@click.option("--indices", type=common_options.LocalPath(), metavar="CSV", help="Write the indices of every column.")
@common_options.decoding
@click.pass_context
def command(
    context: click.Context, /, sound: Path, out: Path | None, tables: tuple[Path, ...], detector: str | None,
    above: float, folder: Path | None, like: str | None, seconds: float | None, indices: Path | None,
) -> None:  # fmt: skip
    """Draw hours of a recording: spectrogram, long-term average spectrum, false colours, detections, similarity.

    Times and frequencies are the file's own, from 250 Hz to 500 kHz of sample rate; --speed is for --like, which is
    otherwise taken at the speed of the library or the detector. The false colours are acoustic
    complexity, entropy and events, of each frequency in each column (Towsey 2014).

    \b
    Examples:
      soundloom timeline night.wav --detector crow --like crow.wav
      soundloom timeline night.wav --like dawn.wav@12.5-14
      soundloom timeline bats.wav --like bat.wav --speed 0.1
      soundloom timeline night.wav --detections night.csv --seconds 60 --indices night.indices.csv
    """
    import soundloom
    from soundloom.file_names import text_path
    from soundloom.library.indexing.file_facts import read_facts
    from soundloom.timeline import long_spectrum, similarity_over_time, timeline_picture

    wanted = None if like is None else _checked(parse_mark(like))
    decoding = _decoding(context, folder, detector)
    spectrum = long_spectrum(sound, seconds=seconds, options=decoding)
    regions = [*_of_tables(sound, tables), *_of_library(sound, folder), *_of_detector(sound, detector, above)]
    similarity = None
    if wanted is not None:
        model = soundloom.load()
        query = model.embed(wanted[0], start=wanted[1], end=wanted[2], options=decoding)
        similarity = similarity_over_time(sound, query, model, options=decoding)
    facts = read_facts(text_path(sound))
    recorded = None if facts.recorded_by in ("", "file") else facts.recorded
    out = out or Path(f"{sound.name}.timeline.png")
    timeline_picture(
        spectrum, out, title=printable(sound.name), regions=regions, similarity=similarity,
        recorded=None if recorded is None else datetime.fromisoformat(recorded),
    )  # fmt: skip
    echo(f"written to {out}, in columns of {spectrum.seconds:.3g} s", err=True)
    if indices is not None:
        spectrum.write_records(indices)
        echo(f"indices written to {indices}", err=True)


def _decoding(context: click.Context, folder: Path | None, detector: str | None) -> DecodeOptions:
    """How sounds are decoded: as the library or the detector does, but for what is asked for."""
    base = None
    if detector is not None:
        from soundloom.detectors import Detector

        base = Detector.load(detector).decoding
    if folder is not None:
        from soundloom.library import Library

        base = Library.open(folder).settings.decoding
    return common_options.decode_options(context, base)


def _checked(mark: str | tuple[str, float, float]) -> tuple[Path, float, float | None]:
    """A file that is there, and the seconds of it that are meant."""
    name, start, end = (mark, 0.0, None) if isinstance(mark, str) else mark
    return local_path(name, must_exist=True), start, None if end == math.inf else end


def _of_tables(sound: Path, tables: tuple[Path, ...]) -> list[Annotation]:
    from soundloom.annotations import read_annotations
    from soundloom.file_names import text_path

    path = text_path(sound.absolute())
    found = []
    for table in tables:
        every = read_annotations(table, sounds=[path]).annotations
        here = [one for one in every if one.path in (path, text_path(sound))]
        if every and not here:
            echo(f"none of the {counted(len(every), 'region')} of {table} is of this file", err=True)
        found += here
    return found


def _of_library(sound: Path, folder: Path | None) -> list[Annotation]:
    if folder is None:
        return []
    from soundloom.annotations import Annotation
    from soundloom.errors import QueryError
    from soundloom.file_names import text_path
    from soundloom.library import AnnotationFilter, Library

    library, path = Library.open(folder), text_path(sound.resolve())
    if path not in library.files():
        raise QueryError(f"{str(sound)!r} is not in the library: index it, or leave out --library")
    rows = library.rows(["path", "start", "end", "tags"], f"path = '{path.replace(chr(39), chr(39) * 2)}'").to_pylist()
    tagged = [Annotation(path, row["start"], row["end"], tag) for row in rows for tag in row["tags"] or ()]
    return [*(one for one in library.annotations.all(AnnotationFilter(gone=False)) if one.path == path), *tagged]


def _of_detector(sound: Path, name: str | None, above: float) -> list[Annotation]:
    if name is None:
        return []
    from soundloom.cache_folder import cache_home
    from soundloom.detectors import Aim, Detector

    report = Detector.load(name).detect([sound], Aim(probability=above), journal=cache_home() / "detections")
    return list(report.events)
