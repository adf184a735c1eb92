"""Export of segments, annotations and tags: a table in the format of a program, label tracks or sounds in a zip.

The formats are those of `soundloom.annotations`; an annotation of a segment has its tags as label, and as score the
similarity with which it was found.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Literal

from soundloom.annotations import FORMATS, Annotation, write_annotations
from soundloom.errors import AudioError
from soundloom.library import LibraryTags, Segment
from soundloom.server.http.error_responses import ApiError
from soundloom.server.media.sound_files import SoundFiles, saved_name
from soundloom.server.schemas import ExportFormat

__all__ = ["MOST_SOUNDS", "SOUNDS", "export_annotations", "export_sounds", "export_table", "export_tags", "formats"]

MOST_SOUNDS = 500
_TRACKS = "tracks"
SOUNDS = "sounds"
_LEFT_OUT = "left out.txt"


def formats() -> list[ExportFormat]:
    """What can be written, the sounds first."""
    tables = [(name, FORMATS[name]) for name in FORMATS]
    return [
        ExportFormat(name=SOUNDS, title="the sounds, in a zip", ending=".zip"),
        *(
            ExportFormat(name=name, title=one.title, ending=one.ending)
            for name, one in tables
            if one.write is not None and name != "audacity"
        ),
        ExportFormat(name=_TRACKS, title="Audacity's labels, in a zip", ending=".zip"),
    ]


def export_table(segments: Sequence[Segment], scores: Sequence[float | None], format: str) -> tuple[BinaryIO, str]:
    """Segments as annotations, in a file that is unlinked already, and its ending.

    Args:
        segments: what is written.
        scores: one for each.
        format: a name of `formats`, other than that of sounds.

    Raises:
        ApiError: there is no such format.
    """
    annotations = [
        Annotation(
            path=one.path,
            start=one.start,
            end=one.end,
            label=", ".join(one.tags),
            score=score,
            duration=one.duration,
        )
        for one, score in zip(segments, scores, strict=True)
    ]
    return export_annotations(annotations, format)


def export_annotations(annotations: Sequence[Annotation], format: str) -> tuple[BinaryIO, str]:
    """Annotations in a file that is unlinked already, and its ending.

    Args:
        annotations: what is written.
        format: a name of `formats`, other than that of sounds.

    Raises:
        ApiError: there is no such format.
    """
    endings = {one.name: one.ending for one in formats() if one.name != SOUNDS}
    if format not in endings:
        raise ApiError(422, "bad_query", f"no format {format!r}: there are {', '.join(endings)}")
    if format == _TRACKS:
        return _zipped_tracks(partial(write_annotations, annotations)), ".zip"
    ending = endings[format]
    return _written(f"soundloom{ending}", partial(write_annotations, annotations)), ending


def export_tags(tags: LibraryTags, format: Literal["csv", "audacity"]) -> BinaryIO:
    """All tags, as a CSV table or as a zip of label tracks for Audacity, in a file that is unlinked already."""
    return _written("tags.csv", tags.export) if format == "csv" else _zipped_tracks(tags.export)


def export_sounds(segments: Sequence[Segment], files: SoundFiles) -> BinaryIO:
    """Whole files as they are, and parts of files as WAV, in a zip that is unlinked already.

    What cannot be read is left out; a text in the zip names it.

    Args:
        segments: what is written; sounds of one name get numbers.
        files: opens and decodes them.

    Raises:
        ApiError: there are too many segments, or no file is there.
        AudioError: no file can be read.
    """
    if len(segments) > MOST_SOUNDS:
        raise ApiError(422, "bad_query", f"at most {MOST_SOUNDS} sounds are packed at a time, got {len(segments)}")
    return _written("sounds.zip", lambda file: _pack_sounds(file, segments, files))


def _written(name: str, write: Callable[[Path], object]) -> BinaryIO:
    """What is written to a file of a name, open and unlinked; the response closes it."""
    with TemporaryDirectory(prefix="soundloom-export-", ignore_cleanup_errors=True) as temporary:
        file = Path(temporary) / name
        write(file)
        return open(file, "rb")


def _zipped_tracks(write: Callable[[Path], object]) -> BinaryIO:
    """Label tracks, which are written to a folder, in a zip that is open and unlinked."""

    def pack(file: Path) -> None:
        folder = file.with_name("labels")
        write(folder)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for track in sorted(folder.rglob("*.txt")):
                archive.write(track, track.relative_to(folder))

    return _written("labels.zip", pack)


def _pack_sounds(file: Path, segments: Sequence[Segment], files: SoundFiles) -> None:
    taken = {_LEFT_OUT}
    unreadable: list[ApiError | AudioError] = []
    # Sounds are compressed already, or compress badly.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for one in segments:
            whole = one.end - one.start >= one.duration - 0.05
            try:
                played = files.original(one) if whole else files.part(one)
            except (ApiError, AudioError) as error:
                unreadable.append(error)
                continue
            region = None if whole else (one.start, one.end)
            name = _free_name(saved_name(one.path, region, played.media_type), taken)
            with played.file as source, archive.open(name, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target, 2**20)
        if len(unreadable) == len(segments) > 0:
            raise unreadable[0]
        if unreadable:
            reasons = [error.detail if isinstance(error, ApiError) else str(error) for error in unreadable]
            archive.writestr(_LEFT_OUT, "\n".join(reasons) + "\n")


def _free_name(name: str, taken: set[str]) -> str:
    stem, ending = os.path.splitext(name)
    number = 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem} ({number}){ending}"
    taken.add(name.casefold())
    return name
