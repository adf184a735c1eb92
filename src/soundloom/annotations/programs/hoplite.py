"""Detections of perch-hoplite: idx, project, filename, window_start, window_end, label, logits.

Its earlier tables call the file ``source_id`` and have an ``offset`` and no end, which is 5 s later (Perch's window).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.column_map import ColumnMap
from soundloom.annotations.delimited_text import TextTable

__all__ = ["HOPLITE"]

WINDOW = 5.0
"""Seconds of a window where a table has only its start."""

_COLUMNS = ColumnMap(
    {
        "idx": "number",
        "project": None,
        "filename": "path",
        "window_start": "start",
        "window_end": "end",
        "label": "label",
        "logits": "score",
        "low_freq": "low",
        "high_freq": "high",
        "annotator": "annotator",
    },
    always=("idx", "project", "filename", "window_start", "window_end", "label", "logits"),
    other_names={"filename": ("source_id",), "window_start": ("offset",), "project": ("dataset_name",)},
    window=WINDOW,
)


def _recognise(table: TextTable) -> bool:
    return table.has("idx", "label", "logits") and (table.has("window_start") or table.has("source_id", "offset"))


def _read(table: TextTable, path: str) -> list[Annotation]:
    return _COLUMNS.read(table, path)


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    _COLUMNS.write(annotations, file)


HOPLITE = register_format(
    "hoplite",
    AnnotationFormat(
        title="perch-hoplite's table", ending=".hoplite.csv", write=_write, recognise=_recognise, read=_read
    ),
)
