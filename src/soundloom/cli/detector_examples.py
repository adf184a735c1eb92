"""Examples for a detector of the command line: of tables, libraries, detectors, regions on the line; background."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from soundloom.cli.console import echo
from soundloom.cli.tag_examples import parse_mark
from soundloom.counted import counted
from soundloom.errors import QueryError
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.annotations import Annotation
    from soundloom.audio import DecodeOptions
    from soundloom.detectors import Detector

__all__ = ["background_of", "library_decoding", "sound_marks", "table_marks"]


def table_marks(tables: tuple[Path, ...]) -> list[Annotation]:
    """The annotations of tables, libraries and detectors; how each table was understood is said."""
    from soundloom.annotations import read_annotations
    from soundloom.detectors import Detector
    from soundloom.detectors.detector_folder import SETTINGS

    found: list[Annotation] = []
    for path in tables:
        if (path / SETTINGS).is_file():
            found += Detector.load(path).examples
            continue
        if path.is_dir():
            found += _of_library(path)
            continue
        table = read_annotations(path)
        echo(table.said, err=True)
        found += _answered(path, table.annotations)
    return found


def _of_library(folder: Path) -> list[Annotation]:
    """The annotations of a library; those whose content is gone are left out, and counted."""
    from soundloom.library import AnnotationFilter, Library

    annotations = Library.open(folder).annotations
    if gone := len(annotations.lost()):
        listed = f"soundloom annotations list --gone -l {quote(str(folder))}"
        echo(f"{folder}: {counted(gone, 'annotation')} left out, of content that is gone: {listed}", err=True)
    return annotations.all(AnnotationFilter(gone=False))


def _answered(table: Path, regions: Sequence[Annotation]) -> list[Annotation]:
    """The regions of a table that somebody has marked, or that were never asked about.

    Raises:
        QueryError: all of them wait for a mark.
    """
    from soundloom.annotations import UNMARKED
    from soundloom.detectors.call_density import checked

    found = checked(regions)
    waiting = f"{len(regions) - len(found)} of {counted(len(regions), 'region')}"
    if regions and not found:
        raise QueryError(
            f"nobody has marked {str(table)!r} yet, {waiting} are {UNMARKED}: write the label where the call is, and "
            "nothing where it is not"
        )
    if len(found) < len(regions):
        echo(f"{table}: {waiting} left out that nobody has marked yet ({UNMARKED})", err=True)
    return found


def background_of(former: Sequence[Detector]) -> tuple[Path, ...]:
    """The background of the detectors that one learns from; what of it is not known, or not there, is said."""
    from soundloom.file_names import os_path

    kept = dict.fromkeys(path for one in former for path in one.background or ())
    gone = [path for path in kept if not os.path.exists(os_path(path))]
    there = [path for path in kept if path not in gone]
    if there:
        echo(f"background as before: {', '.join(map(printable, there))}", err=True)
    if gone or any(one.background is None for one in former):
        what = ", ".join(map(printable, gone)) or "that of the detector before, which it does not name"
        echo(f"learned without this background: {what}; figures do not compare: give it with --background", err=True)
    return tuple(Path(os_path(path)) for path in there)


def library_decoding(tables: tuple[Path, ...]) -> list[DecodeOptions]:
    """How the libraries among some tables decode their sounds."""
    from soundloom.detectors.detector_folder import SETTINGS

    folders = [path for path in tables if path.is_dir() and not (path / SETTINGS).is_file()]
    if not folders:
        return []
    from soundloom.library import Library

    return [Library.open(folder).settings.decoding for folder in folders]


def sound_marks(sounds: tuple[str, ...], label: str) -> list[Annotation]:
    """Regions marked on the command line; a file alone is meant whole."""
    from soundloom import audio
    from soundloom.annotations import Annotation
    from soundloom.annotations.file_ends import TOLERANCE
    from soundloom.file_names import os_path, text_path

    found = []
    for text in sounds:
        mark = parse_mark(text)
        path, start, end = mark if isinstance(mark, tuple) else (str(mark), 0.0, math.inf)
        length = audio.info(os_path(path)).duration
        if end == math.inf:
            end = length if length is not None else len(audio.read(path, 16_000)) / 16_000
        if not start <= end <= (length or end) + TOLERANCE:
            raise QueryError(
                f"{text!r} is no region of its file, which lasts {length or end:g} s: write FILE:FROM-TO within it, in "
                "seconds or as 1:30"
            )
        found.append(Annotation(text_path(path), start, end, label, duration=length))
    return found
