"""Lists of sound files, as other programs write them: lines, tables and playlists.

    .csv, .tsv      a table (`soundloom.file_tables`) with a column for the file, and columns start and end where only a
                    region is meant: what `soundloom search --out hits.csv` writes
    .m3u, .m3u8     a playlist
    anything else   a path or an address in each line, or paths that end in a zero byte, as ``find -print0`` writes them

A relative path is looked for in the working folder, and then in the list's own.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from soundloom.errors import FileTableError
from soundloom.file_names import os_path, text_path
from soundloom.file_tables import NAME_COLUMNS, decode_text, read_csv
from soundloom.remote import absolute_location, is_address
from soundloom.system_errors import reason_of

__all__ = ["ListedFile", "read_file_list"]

_TABLES = (".csv", ".tsv")
_PLAYLISTS = (".m3u", ".m3u8")


@dataclass(frozen=True)
class ListedFile:
    """A file of a list.

    Attributes:
        path: absolute, as text (`soundloom.file_names`), or an address.
        region: the seconds that are meant; the whole file if not given.
    """

    path: str
    region: tuple[float, float] | None = None


def read_file_list(source: str | os.PathLike[str]) -> list[ListedFile]:
    """The files of a list, in its order.

    Args:
        source: the list; ``-`` for standard input, a path in each line.

    Raises:
        FileTableError: it cannot be read, or a region is none.
    """
    name = os.fspath(source)
    ending = os.path.splitext(name)[1].lower()
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).expanduser().read_bytes()
        folder = Path.cwd() if name == "-" else Path(name).expanduser().resolve().parent
        if ending in _TABLES:
            return _of_table(data, folder)
    except OSError as error:
        raise FileTableError(f"the list of files {name!r} cannot be read: {reason_of(error)}") from None
    except FileTableError as error:
        raise FileTableError(f"the list of files {name!r} {error}") from None
    lines = data.split(b"\0") if b"\0" in data else data.removeprefix(b"\xef\xbb\xbf").splitlines()
    names = [os.fsdecode(line) for line in lines if line.strip()]
    if ending in _PLAYLISTS:
        names = [line for line in names if not line.startswith("#")]
    return [ListedFile(_absolute(line, folder)) for line in names]


def _of_table(data: bytes, folder: Path) -> list[ListedFile]:
    table = read_csv(decode_text(data), [NAME_COLUMNS])
    name, start, end = (table.column(names) for names in (NAME_COLUMNS, ("start",), ("end",)))
    listed = []
    for row, line in zip(table.rows, table.lines, strict=True):
        path = _absolute(os_path(row[name or 0]), folder)
        region = None
        if start is not None and end is not None:
            try:
                region = float(row[start]), float(row[end])
            except (ValueError, IndexError):
                raise FileTableError(f"gives no start and end in seconds in line {line}") from None
        listed.append(ListedFile(path, region))
    return listed


def _absolute(name: str, folder: Path) -> str:
    if is_address(name):
        return absolute_location(name)
    path = os.path.abspath(os.path.expanduser(name))
    if not os.path.exists(path) and os.path.exists(beside := os.path.join(folder, os.path.expanduser(name))):
        path = os.path.abspath(beside)
    return text_path(path)
