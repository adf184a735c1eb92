"""BirdNET-Analyzer's result tables: start, end, scientific and common name, confidence, file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.column_map import ColumnMap
from soundloom.annotations.delimited_text import TextTable

__all__ = ["BIRDNET"]

_COLUMNS = ColumnMap(
    {
        "Start (s)": "start",
        "End (s)": "end",
        "Scientific name": None,
        "Common name": "label",
        "Confidence": "score",
        "File": "path",
        "Low Freq (Hz)": "low",
        "High Freq (Hz)": "high",
        "Annotator": "annotator",
    },
    always=("Start (s)", "End (s)", "Scientific name", "Common name", "Confidence", "File"),
)


def _recognise(table: TextTable) -> bool:
    return table.has("start_(s)", "end_(s)", "common_name", "confidence")


def _read(table: TextTable, path: str) -> list[Annotation]:
    return _COLUMNS.read(table, path)


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    _COLUMNS.write(annotations, file)


BIRDNET = register_format(
    "birdnet",
    AnnotationFormat(title="BirdNET's table", ending=".birdnet.csv", write=_write, recognise=_recognise, read=_read),
)
