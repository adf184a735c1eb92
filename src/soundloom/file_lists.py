"""Lists of sound files, as soundloom and other programs write them: lines, tables and playlists.

    .m3u, .m3u8     a playlist; the regions that it has for VLC are meant
    a table         of regions, in each format that `soundloom.annotations` reads: CSV, JSON, parquet, Raven's, ...; or
                    a CSV (`soundloom.file_tables`) with a column for the file alone
    a folder        of label tracks for Audacity, as soundloom writes it
    no such ending  by its content: a playlist or a table with a header as above, standard input among them; or
                    a path, an address or a region such as ``dog.wav@1-2`` in each line, or paths that end in a zero
                    byte, as ``find -print0`` writes them; lines that begin with "# " are remarks

A page (.html) is none. A relative path is looked for in the working folder, and then in the list's own.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from soundloom.annotations import is_annotation_table, label_tracks, playlist_entries, read_annotations, sound_beside
from soundloom.errors import FileTableError
from soundloom.file_names import os_path, text_path
from soundloom.file_tables import NAME_COLUMNS, decode_text, read_csv
from soundloom.remote import absolute_location, is_address
from soundloom.remote.locations import is_file_uri
from soundloom.system_errors import reason_of
from soundloom.term_syntax import split_region

__all__ = ["ListedFile", "read_file_list"]

_TABLES = (".csv", ".tsv", ".json", ".parquet")
_PLAYLISTS = (".m3u", ".m3u8")
_PAGES = (".html", ".htm")
_PARQUET = b"PAR1"
_PLAYLIST = b"#EXTM3U"
_JSON = b"[", b"{"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NO_TEXT = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]|\0\0|\A(?:\0|PK\x03\x04)")
_BEGINNING = 2**16
_FORMS = "paths in lines, a playlist, or a table that soundloom search --out writes (.html is none)"


@dataclass(frozen=True)
class ListedFile:
    """A file of a list.

    Attributes:
        path: absolute, as text (`soundloom.file_names`), or an address.
        region: the seconds that are meant; the whole file if not given.
        name: the file as the list writes it.
    """

    path: str
    region: tuple[float, float] | None = None
    name: str = field(default="", compare=False)


def read_file_list(source: str | os.PathLike[str]) -> list[ListedFile]:
    """The files of a list, in its order.

    Args:
        source: the list; ``-`` for standard input.

    Raises:
        FileTableError: it cannot be read, is no list or names no file, or a region is none.
        QueryError: a line has one time instead of the two of a region.
    """
    name = os.fspath(source)
    place = Path.cwd() / "-" if name == "-" else Path(name).expanduser().absolute()
    try:
        tracks = label_tracks(place) if place.is_dir() else None
        data = _content(name, place) if tracks is None else b""
    except OSError as error:
        raise FileTableError(f"the list of files {name!r} cannot be read: {reason_of(error)}") from None
    if tracks is not None:
        listed = [one for track, sound in tracks for one in _regions(track, track.read_bytes(), sound)]
    else:
        listed = _of_file(name, place, data)
    if not listed:
        raise FileTableError(f"the list of files {name!r} names no file: a list is {_FORMS}")
    return [replace(one, path=_absolute(one.name, place.resolve().parent)) for one in listed]


def _content(name: str, place: Path) -> bytes:
    """What a list holds, in UTF-8 or as it is; little is read of what is none.

    Raises:
        FileTableError: it is no text.
    """
    with sys.stdin.buffer if name == "-" else open(place, "rb") as stream:
        data = stream.read(_BEGINNING)
        if data.startswith(_UTF16):
            return (data + stream.read()).decode("utf-16", "replace").encode()
        if not data.startswith(_PARQUET) and (_NO_TEXT.search(data) or os.path.splitext(name)[1].lower() in _PAGES):
            page = os.path.splitext(name)[1].lower() in _PAGES
            what = "is a page to look at: write a table, such as .csv, instead, or" if page else "is no list of files:"
            raise FileTableError(f"the list of files {name!r} {what} give {_FORMS}")
        return data + stream.read()


def _of_file(name: str, place: Path, data: bytes) -> list[ListedFile]:
    ending = place.suffix.lower()
    first = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].strip()
    named = ending in _TABLES or (ending not in _PLAYLISTS and _is_header(first))
    tabular = named or data.startswith(_PARQUET) or first.startswith(_JSON) or b"\t" in first
    try:
        annotated = tabular and is_annotation_table(data)
        if named and not annotated:
            table = read_csv(decode_text(data), [NAME_COLUMNS])
            column = table.column(NAME_COLUMNS) or 0
            return [_listed(row[column]) for row in table.rows if column < len(row)]
    except FileTableError as error:
        raise FileTableError(f"the list of files {name!r} {error}") from None
    if annotated:
        return _regions(place, data, sound_beside(place))
    lines = data.split(b"\0") if b"\0" in data else data.removeprefix(b"\xef\xbb\xbf").splitlines()
    names = [os.fsdecode(line) for line in lines if line.strip()]
    if ending in _PLAYLISTS or first.startswith(_PLAYLIST):
        return [_listed(entry, region) for entry, region in playlist_entries(names)]
    return [_of_line(line, place.parent) for line in names if not line.startswith("# ") or os.path.exists(line)]


def _is_header(line: bytes) -> bool:
    """Whether a first line is the header of a CSV that names files, and no file is called so."""
    try:
        return not os.path.exists(os.fsdecode(line)) and bool(read_csv(decode_text(line), [NAME_COLUMNS]).columns)
    except (FileTableError, ValueError):  # ValueError: a zero byte in it
        return False


def _regions(table: Path, data: bytes, sound: str) -> list[ListedFile]:
    found = read_annotations(table, sound=sound, content=data).annotations
    return [_listed(one.path, (one.start, one.end)) for one in found]


def _of_line(line: str, folder: Path) -> ListedFile:
    """A file, or a region of one, unless a file beside the list is called so."""
    if is_address(line) or (folder / line).exists():
        return _listed(line)
    name, start, end = split_region(line)
    return _listed(name, None if name == line else (start, float("inf") if end is None else end))


def _listed(name: str, region: tuple[float, float] | None = None) -> ListedFile:
    return ListedFile("", region, os_path(name))


def _absolute(name: str, folder: Path) -> str:
    if is_address(name) or is_file_uri(name):
        return absolute_location(name)
    path = os.path.abspath(os.path.expanduser(name))
    if not os.path.exists(path) and os.path.exists(beside := os.path.join(folder, os.path.expanduser(name))):
        path = os.path.abspath(beside)
    return text_path(path)
