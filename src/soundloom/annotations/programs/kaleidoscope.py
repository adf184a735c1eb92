"""Kaleidoscope's tables (Wildlife Acoustics): folder and name of the file apart, an offset and a duration.

The label is ``MANUAL ID`` where a person filled it in, else the program's. Times are rounded to the microsecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from posixpath import join, split

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.column_map import ColumnMap
from soundloom.annotations.delimited_text import TextTable

__all__ = ["KALEIDOSCOPE"]

_COLUMNS = ColumnMap(
    {
        "INDIR": None,
        "FOLDER": None,
        "IN FILE": "path",
        "CHANNEL": None,
        "OFFSET": "start",
        "DURATION": "length",
        "Fmin": "low",
        "Fmax": "high",
        "MANUAL ID": "label",
        "confidence": "score",
        "USERID": "annotator",
    },
    always=("INDIR", "FOLDER", "IN FILE", "CHANNEL", "OFFSET", "DURATION", "Fmin", "Fmax", "MANUAL ID"),
    other_labels=("TOP1MATCH", "AUTO ID*", "AUTO ID", "common_name"),
)


def _recognise(table: TextTable) -> bool:
    return table.has("in_file", "offset", "duration")


def _read(table: TextTable, path: str) -> list[Annotation]:
    found = []
    for one in _COLUMNS.read(table, path):
        columns = dict(one.columns)
        folders = [columns.pop(name, "") for name in ("INDIR", "FOLDER")]
        found.append(replace(one, path=one.path and join(*folders, one.path), columns=columns))
    return found


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    apart = []
    for one in annotations:
        folder, name = split(one.path)
        apart.append(replace(one, path=name, columns={"INDIR": folder, "FOLDER": "", **one.columns}))
    _COLUMNS.write(apart, file)


KALEIDOSCOPE = register_format(
    "kaleidoscope",
    AnnotationFormat(
        title="Kaleidoscope's table", ending=".kaleidoscope.csv", write=_write, recognise=_recognise, read=_read
    ),
)
