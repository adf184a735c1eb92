"""Deployments of recorders: which site a file was recorded at, by a table or by the names of folders and files.

A table (CSV) has a row for each deployment. Its ``path`` names what was recorded: a folder, as much of a path as makes
it unique, or the beginning of the files' names. The longest one that fits a file counts; of several with the same one,
the last that began before the recording. Columns that are called otherwise in the field are understood.

Where no table says it, the site is what stands before the date in a file's name (``SITE1`` of
``SITE1_20240501_053000.wav``), unless that is the number of an AudioMoth, or else the file's folder, or the one above
if that is a date.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path

from soundloom.atomic_file import replacing
from soundloom.errors import FileTableError
from soundloom.file_tables import decode_text, read_csv
from soundloom.library.library_files import DEPLOYMENTS_FILE
from soundloom.system_errors import reason_of

__all__ = ["Deployment", "Deployments", "site_by_name"]

_COLUMNS = {
    "path": (
        "path",
        "folder",
        "prefix",
        "file",
        "filename",
        "pfad",
        "ordner",
        "datei",
        "dossier",
        "fichier",
        "carpeta",
        "archivo",
    ),
    "site": ("site", "station", "location", "plot", "point", "site_id", "standort", "ort", "lieu", "sitio", "lugar"),
    "latitude": ("latitude", "lat", "breite", "breitengrad", "latitud"),
    "longitude": ("longitude", "lon", "lng", "long", "länge", "längengrad", "longitud"),
    "recorder": ("recorder", "device", "serial", "logger", "unit", "rekorder", "gerät", "enregistreur", "grabadora"),
    "start": ("start", "deployed", "begin", "start_time", "date", "beginn", "datum", "début", "inicio"),
}
_DATE = re.compile(r"[-_. ]*(?<!\d)(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?!\d{3,}).*")

_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})( .+)?")

_SERIAL = re.compile(r"(?=.*\d)(?:[0-9A-F]{8}|[0-9A-F]{16})")
"""The number of an AudioMoth, which goes from site to site."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A recorder at a site, from some time on.

    Attributes:
        path: the folder of its files, or the beginning of their names.
        site: what the site is called.
        latitude: in degrees north; None where it is not known.
        longitude: in degrees east.
        recorder: what recorded.
        start: when it began to record, by the recorder's clock.
    """

    path: str
    site: str
    latitude: float | None = None
    longitude: float | None = None
    recorder: str = ""
    start: datetime | None = None

    def fits(self, file: str) -> bool:
        """Whether a file is of the deployment."""
        wanted = [part for part in self.path.replace("\\", "/").split("/") if part]
        *folders, name = [part for part in file.split("/") if part]
        if wanted and len(wanted) <= len(folders):
            runs = (folders[first : first + len(wanted)] for first in range(len(folders) - len(wanted) + 1))
            if any(run == wanted for run in runs):
                return True
        tail = folders[len(folders) - len(wanted) + 1 :] if len(wanted) > 1 else []
        return bool(wanted) and tail == wanted[:-1] and name.startswith(wanted[-1])


class Deployments:
    """The deployments of some recordings.

    Args:
        rows: of a table; none where sites are known by names alone.
    """

    def __init__(self, rows: Sequence[Deployment] = ()) -> None:
        self.rows = tuple(rows)

    @classmethod
    def read(cls, table: Path) -> Deployments:
        """The deployments of a CSV.

        Raises:
            FileTableError: it cannot be read, lacks a column, or a cell is no number or time; says which.
        """
        try:
            return cls.of_text(table.read_bytes(), table)
        except OSError as error:
            raise FileTableError(f"{str(table)!r} cannot be read: {reason_of(error)}") from None

    @classmethod
    def of_text(cls, text: bytes, table: Path = Path(DEPLOYMENTS_FILE)) -> Deployments:
        """The deployments of the text of a CSV; raises as `read`.

        Args:
            text: the CSV.
            table: what errors call it.
        """
        try:
            found = read_csv(decode_text(text), [_COLUMNS["path"], _COLUMNS["site"]])
        except FileTableError as error:
            raise FileTableError(f"{str(table)!r} {error}") from None
        if not found.columns:
            raise FileTableError(f"{str(table)!r} has no header: name its columns, such as path and site")
        numbers = {name: found.column(names) for name, names in _COLUMNS.items()}
        lines = zip(found.rows, found.lines, strict=True)
        return cls([_deployment(table, row, line, numbers) for row, line in lines])

    def write(self, table: Path) -> None:
        """Write the deployments to a CSV, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        with replacing(table) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for one in self.rows:
                start = "" if one.start is None else one.start.isoformat(sep=" ")
                writer.writerow([one.path, one.site, one.latitude, one.longitude, one.recorder, start])

    def unmatched(self, files: Sequence[str]) -> tuple[list[Deployment], list[str]]:
        """The deployments that no file fits, and the files that fit none, whose site is known by their names.

        Args:
            files: recordings.
        """
        fitting = {file: [one for one in self.rows if one.fits(file)] for file in files}
        held = {id(one) for some in fitting.values() for one in some}
        return [one for one in self.rows if id(one) not in held], [file for file, some in fitting.items() if not some]

    def sites(self, files: Sequence[str]) -> list[str]:
        """The sites of some recordings, whenever these were made.

        Args:
            files: recordings.
        """
        idle, by_name = self.unmatched(files)
        return sorted({one.site for one in self.rows if one not in idle} | set(map(site_by_name, by_name)))

    def of(self, file: str, recorded: datetime | None = None) -> Deployment:
        """The deployment of a file.

        Args:
            file: its path.
            recorded: when it was recorded, if that is known.
        """
        fitting = [one for one in self.rows if one.fits(file)]
        if recorded is not None:
            begun = [one for one in fitting if one.start is None or one.start <= recorded]
            fitting = begun or fitting
        if fitting:
            return max(fitting, key=lambda one: (len(one.path.strip("/")), one.start or datetime.min))
        return Deployment(path=file, site=site_by_name(file))


def site_by_name(file: str) -> str:
    """The site that a file's name states before its date, or the file's folder.

    >>> site_by_name("/r/june/SITE1_20240501_053000.wav"), site_by_name("/r/pond/20240501_053000.wav")
    ('SITE1', 'pond')
    >>> site_by_name("/r/pond/24F31901_20240501_053000.wav"), site_by_name("/r/pond/20240501/053000.wav")
    ('pond', 'pond')
    """
    folder, name = os.path.split(file)
    stem = os.path.splitext(name)[0]
    before = _DATE.sub("", stem)
    if before and before != stem and not _SERIAL.fullmatch(before):
        return before
    while os.path.basename(folder) and not _DATE.sub("", os.path.basename(folder)):
        folder = os.path.dirname(folder)
    return os.path.basename(folder)


def _moment(text: str) -> datetime:
    """A moment by ISO 8601, or as ``31.5.2024 04:30``.

    Raises:
        ValueError: it is none.
    """
    dotted = _DOTTED.fullmatch(text)
    if dotted is not None:
        day, month, year, rest = dotted.groups()
        text = f"{year}-{month:0>2}-{day:0>2}{rest or ''}"
    return datetime.fromisoformat(text).replace(tzinfo=None)


def _deployment(table: Path, row: Sequence[str], line: int, numbers: dict[str, int | None]) -> Deployment:
    cells = {
        name: "" if number is None or number >= len(row) else row[number].strip() for name, number in numbers.items()
    }

    def degrees(name: str, most: float) -> float | None:
        if not cells[name]:
            return None
        try:
            value = float(cells[name].replace(",", "."))
        except ValueError:
            value = float("nan")
        if not isfinite(value) or abs(value) > most:
            raise FileTableError(
                f"{str(table)!r}, line {line}: the {name} {cells[name]!r} is no number of degrees from -{most:g} to "
                f"{most:g}"
            )
        return value

    start = None
    if cells["start"]:
        try:
            start = _moment(cells["start"])
        except ValueError:
            raise FileTableError(
                f"{str(table)!r}, line {line}: the start {cells['start']!r} is no time: write 2024-05-01 05:30:00"
            ) from None
    if not cells["path"] or not cells["site"]:
        raise FileTableError(f"{str(table)!r}, line {line}: a deployment needs a path and a site, got {list(row)}")
    return Deployment(
        path=cells["path"], site=cells["site"], recorder=cells["recorder"], start=start,
        latitude=degrees("latitude", 90), longitude=degrees("longitude", 180),
    )  # fmt: skip
