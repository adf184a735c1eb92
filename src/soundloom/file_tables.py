"""Tables that name sound files: reading CSV in any common dialect, and resolving names to files.

Dialects: the delimiters comma, semicolon, tab and ``|``; UTF-8 with or without a byte order mark and UTF-16; quoted
cells; the apostrophe before cells that look like formulas (`soundloom.safe_text`); Excel's first line ``sep=;``;
columns called by any of several names in any case; no header at all, where the first cell of every line is the name of
a sound file. What cannot be read is refused with the remedy.

Names are compared in Unicode's composed form (NFC), with ``/`` for ``\\``. A name stands for the file whose path ends
with all of its components, so it needs as many as make it unique. See `FileMatcher`.
"""

from __future__ import annotations

import csv
import filecmp
import io
import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import takewhile
from pathlib import Path

from soundloom.audio_suffixes import AUDIO_SUFFIXES
from soundloom.errors import FileTableError
from soundloom.file_names import os_path
from soundloom.safe_text import csv_text

__all__ = ["NAME_COLUMNS", "FileMatcher", "FileTable", "column_name", "decode_text", "read_csv"]

NAME_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "file_path", "fname", "name", "id")
"""Names of the column that holds the file, as `FileTable` spells columns; the first that is there counts."""

_DELIMITERS = ",;\t|"
_BINARY = {b"PK\x03\x04": "an Excel workbook", b"\xd0\xcf\x11\xe0": "an old Excel workbook", b"PAR1": "a parquet file"}
_BACKSLASH = re.compile(r"\\")
_NOT_OF_BYTES = re.compile(r"\\(?!x(?:5c|[89a-f][0-9a-f]))")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:[/\\]")


@dataclass(frozen=True)
class FileTable:
    """The rows of a table.

    Attributes:
        columns: the names of its columns: lower case, spaces and hyphens as ``_``; empty where there is no header.
        header: the same as they are written.
        rows: the cells of every row, as many as there are columns, or more where a last cell was split.
        lines: the line of the file at which every row ends.
    """

    columns: list[str]
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, names: Sequence[str]) -> int | None:
        """The number of the first of some columns that is there."""
        return next((self.columns.index(name) for name in names if name in self.columns), None)

    def cells(self, row: int, column: int | None) -> list[str]:
        """The cells of a row in a column; also those beyond it, if it is the last one, or if there is no header.

        Raises:
            FileTableError: the row has more cells than there are columns, and it is not clear which belong together.
        """
        cells, width = self.rows[row], len(self.columns)
        if column is None:
            return cells[1:]
        if len(cells) > width and column != width - 1:
            raise FileTableError(
                f"has {len(cells)} cells in line {self.lines[row]} and {width} columns: put cells that hold the "
                "delimiter in quotes"
            )
        return cells[column:] if column == width - 1 else cells[column : column + 1]


def decode_text(data: bytes) -> str:
    """Text of a table in UTF-8, or in UTF-16 as spreadsheets export it.

    Raises:
        FileTableError: it is neither.
    """
    for magic, kind in _BINARY.items():
        if data.startswith(magic):
            raise FileTableError(f"is {kind}: export it as CSV")
    encoding = "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif data[1:2] == b"\0" or data[:1] == b"\0":
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileTableError(
            f"is not a CSV in UTF-8 (byte 0x{data[error.start]:02x} in line {line}): save it as 'CSV UTF-8'"
        ) from None


def read_csv(text: str, needed: Sequence[Sequence[str]]) -> FileTable:
    """Read a CSV.

    Args:
        text: the table.
        needed: for every column that must be there, the names it may have; the first is the file's. By them the
            delimiter and a header are recognised.

    Raises:
        FileTableError: it is no CSV; a column is missing, while the first line is no file either.
    """
    first, _, rest = text.partition("\n")
    if first.strip().strip('"').lower().startswith("sep=") and len(first.strip().strip('"')) == 5:
        return _read(rest, first.strip().strip('"')[-1], needed)
    header = text.split("\n", 1)[0]
    named = [delimiter for delimiter in _DELIMITERS if _has_columns(header, delimiter, needed)]
    files = [delimiter for delimiter in _DELIMITERS if delimiter in header and _names_file(header, delimiter)]
    # Without a header the first delimiter ends the name: `a.wav;dog,loud` is separated by a semicolon.
    files.sort(key=header.index)
    often = max(_DELIMITERS, key=lambda delimiter: len(_cells(header, delimiter)))
    return _read(text, [*named, *files, often][0], needed)


def _read(text: str, delimiter: str, needed: Sequence[Sequence[str]]) -> FileTable:
    # A quote that is not closed, or a lone carriage return as the end of a line, is recognised by the csv module.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=False)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([csv_text(cell.strip()) for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise FileTableError(f"is not a CSV (line {reader.line_num}: {error})") from None
    if not rows:
        raise FileTableError("is empty")
    columns = [column_name(cell) for cell in rows[0]]
    if _complete(columns, needed):
        return FileTable(columns, rows[0], rows[1:], lines[1:])
    if _is_sound(rows[0][0]) and len(rows[0]) >= len(needed):
        return FileTable([], [], rows, lines)
    missing = [names for names in needed if not set(names) & set(columns)]
    wanted = " and ".join(f"a column {names[0]!r} (or {', '.join(names[1:])})" for names in needed)
    raise FileTableError(
        f"must be a CSV with {wanted}, found columns {columns}: name a column "
        f"{' and one '.join(repr(names[0]) for names in missing)}"
    )


def _cells(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header.rstrip("\r")], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _has_columns(header: str, delimiter: str, needed: Sequence[Sequence[str]]) -> bool:
    return _complete([column_name(cell) for cell in _cells(header, delimiter)], needed)


def _complete(columns: Sequence[str], needed: Sequence[Sequence[str]]) -> bool:
    return all(set(names) & set(columns) for names in needed)


def _names_file(header: str, delimiter: str) -> bool:
    return _is_sound(next(iter(_cells(header, delimiter)), ""))


def _is_sound(cell: str) -> bool:
    return os.path.splitext(cell.strip())[1].lower() in AUDIO_SUFFIXES


def column_name(cell: str) -> str:
    """The name of a column as it is compared: lower case, spaces and hyphens as ``_``."""
    return re.sub(r"[\s-]+", "_", cell.strip().lstrip("\ufeff").lower())


class FileMatcher:
    """Resolves names of a table to files.

    A name stands for the file whose path ends with all components of the name. What is tried, in this order:

    1. the name as a path, relative to the table's folder;
    2. paths that end with the name, as it is written;
    3. the same without regard to case;
    4. the same without the file's suffix, if the name has none that sounds have; with ``any_suffix`` without both;
    5. the file of which the name is another hard link.

    A name that leads to a file of this machine is that file, or its copy, byte for byte, of the same name. An absolute
    name that is no file here was written on another machine: the folder that all absolute names of the table have in
    common need not fit, and none of its folders where no other name of the table has its last component. Of several
    files that fit, the one that shares most of the name is taken.

    Args:
        files: the paths of the files.
        names: all names of the table.
        folder: the folder that the table lies in; None: names are not looked for on this machine, but as hard links.
        any_suffix: also match files whose suffix differs from the name's.
    """

    def __init__(
        self, files: Iterable[str], names: Iterable[str], folder: Path | None = None, *, any_suffix: bool = False
    ) -> None:
        self._folder = folder
        self._any_suffix = any_suffix
        self._exact: dict[str, str] = {}
        self._keyed: tuple[dict[str, list[str]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
        for file in sorted(set(files)):
            path = _spelled(file)
            self._exact.setdefault(path, file)
            for index, key in zip(self._keyed, _keys(path), strict=True):
                index[key].append(file)
        absolute = {_spelled(name) for name in names if _ABSOLUTE.match(_spelled(name, keep_bytes=True))}
        away = [path for path in absolute if path not in self._exact]
        folders = [_parts(posixpath.dirname(path)) for path in away]
        self._last = Counter(_keys(path)[1] for path in absolute)
        self._common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False)))

    def match(self, name: str) -> tuple[str, ...]:
        """The file that a name stands for: none if no file fits, several if the name is ambiguous."""
        # Files whose stored names hold \xNN are meant by it; folders of Windows may be called so, too.
        spelled = _spelled(name, keep_bytes=True), _spelled(name)
        here = self.file_here(name)
        find = self._fitting if here is None else partial(self._copy, here)
        return find(spelled[0]) or find(spelled[1]) or self._linked(name)

    def shares_folder(self, name: str, file: str) -> bool:
        """Whether a name and a file that it stands for have the last folder in common, too, in any case."""
        return _shared(_parts(_spelled(name)), file, fold=True) > 1

    def file_here(self, name: str) -> str | None:
        """The file of this machine that a name leads to from the table's folder; None: there is none."""
        path = None if self._folder is None else os.path.join(self._folder, os_path(name))
        return path if path is not None and os.path.isfile(path) else None

    def _linked(self, name: str) -> tuple[str, ...]:
        """The file that a name on disk is another hard link of."""
        identity = _identity(os.path.join(self._folder or "", os_path(name)))
        return () if identity is None else self._by_identity.get(identity, ())

    @cached_property
    def _by_identity(self) -> dict[tuple[int, int], tuple[str, ...]]:
        found = ((_identity(os_path(file)), file) for file in self._exact.values())
        return {identity: (file,) for identity, file in found if identity is not None}

    def _named(self, path: str) -> str | None:
        """The file that has this path, from the table's folder or as it is."""
        beside = _spelled(os.path.join(self._folder, path)) if self._folder is not None else path
        return self._exact.get(beside) or self._exact.get(path)

    def _copy(self, here: str, path: str) -> tuple[str, ...]:
        """The file that has this path, or else the first copy of a file of this machine that is called so."""
        if (file := self._named(path)) is not None:
            return (file,)
        name, folded, _ = _keys(path)
        parts, alike = _parts(path), [*self._keyed[0].get(name, ()), *self._keyed[1].get(folded, ())]
        nearest = sorted(alike, key=lambda file: -_shared(parts, file, fold=False))
        return next(((file,) for file in nearest if _is_copy(here, os_path(file))), ())

    def _fitting(self, path: str) -> tuple[str, ...]:
        if (file := self._named(path)) is not None:
            return (file,)
        absolute = _ABSOLUTE.match(path) is not None
        parts = _parts(path)
        required = len(parts)
        if absolute:
            required = 1 if self._last[_keys(path)[1]] == 1 else max(1, len(parts) - self._common)
        levels = 3 if self._any_suffix or not _is_sound(path) else 2
        name, folded, stem = _keys(path)
        keys = (name, folded, stem if self._any_suffix else folded)
        for level, (index, key) in enumerate(zip(self._keyed[:levels], keys, strict=False)):
            fitting = [(_shared(parts, file, fold=level > 0), file) for file in index.get(key, ())]
            fitting = [(shared, file) for shared, file in fitting if shared >= required]
            if fitting:
                most = max(shared for shared, _ in fitting)
                return tuple(file for shared, file in fitting if shared == most)
        return ()


def _identity(file: str) -> tuple[int, int] | None:
    """Device and inode of a file with several hard links; None if it is not there, or has one."""
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if status.st_nlink > 1 else None


def _is_copy(file: str, other: str) -> bool:
    """Whether two files are one, or the same byte for byte."""
    try:
        return os.path.samefile(file, other) or filecmp.cmp(file, other, shallow=False)
    except (OSError, ValueError):
        return False


def _keys(path: str) -> tuple[str, str, str]:
    """A file's name, without regard to case, and besides without its suffix."""
    name = posixpath.basename(path)
    return name, name.casefold(), _stem(name)


def _stem(name: str) -> str:
    return (name.rpartition(".")[0] or name).casefold()


def _spelled(name: str, *, keep_bytes: bool = False) -> str:
    r"""A name as it is compared: composed, with ``/``, without ``.`` and ``..``.

    Args:
        name: the name.
        keep_bytes: leave the backslashes of ``\xNN``, bytes that are not UTF-8 (`soundloom.file_names`).
    """
    path = unicodedata.normalize("NFC", os.fspath(name).strip())
    if not path.startswith("/"):
        path = (_NOT_OF_BYTES if keep_bytes else _BACKSLASH).sub("/", path)
    return posixpath.normpath(path) if path else ""


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _shared(parts: Sequence[str], file: str, *, fold: bool) -> int:
    """How many components a name and a file have in common, counted from the end; the last is known to fit.

    Args:
        parts: of the name.
        file: the file.
        fold: compare without regard to case.
    """
    folders, theirs = parts[:-1], _parts(_spelled(file))[:-1]
    if fold:
        folders, theirs = [part.casefold() for part in folders], [part.casefold() for part in theirs]
    pairs = zip(reversed(folders), reversed(theirs), strict=False)
    return 1 + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
