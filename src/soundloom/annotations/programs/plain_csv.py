"""Plain CSV: path, start, end, label, score and further columns; other usual names of these are recognised."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.column_map import ColumnMap
from soundloom.annotations.delimited_text import TextTable, decimal, write_table
from soundloom.errors import FileTableError
from soundloom.file_tables import NAME_COLUMNS
from soundloom.safe_text import csv_cell

__all__ = ["PLAIN_CSV", "guessed_columns", "write_header"]

USUAL: Mapping[str, Sequence[str]] = {
    "path": (*NAME_COLUMNS, "audiofilename", "audio_file", "recording", "recording_filename", "sound", "sound_file",
             "wav", "begin_path", "begin_file", "in_file", "soundfile", "datei", "fichier", "archivo"),
    "start": ("start", "start_s", "start_(s)", "start_time", "start_time_s", "start_time_(s)", "start_sec",
              "start_seconds", "begin", "begin_s", "begin_time", "begin_time_(s)", "onset", "onset_s", "offset_s",
              "offset", "window_start", "from", "t_min", "tmin", "time_start", "minimum_time", "beginn", "début",
              "inicio"),
    "end": ("end", "end_s", "end_(s)", "end_time", "end_time_s", "end_time_(s)", "end_sec", "end_seconds", "stop",
            "stop_s", "window_end", "to", "t_max", "tmax", "time_end", "maximum_time", "ende", "fin"),
    "length": ("duration", "duration_s", "length", "length_s", "duration_(s)"),
    "low": ("low", "low_hz", "low_freq", "low_freq_(hz)", "low_frequency", "freq_low", "min_freq", "freq_min", "fmin",
            "f_min", "minimum_freq", "frequency_min", "lower"),
    "high": ("high", "high_hz", "high_freq", "high_freq_(hz)", "high_frequency", "freq_high", "max_freq", "freq_max",
             "fmax", "f_max", "maximum_freq", "frequency_max", "upper"),
    "label": ("label", "labels", "tag", "class", "species", "species_name", "common_name", "event_label", "category",
              "annotation", "call_type", "code", "label:species", "label:default_classifier", "art", "espèce",
              "especie"),
    "score": ("score", "certainty", "confidence", "probability", "logit", "logits", "similarity"),
    "annotator": ("annotator", "annotated_by", "user", "observer", "reviewer"),
}  # fmt: skip
"""Attribute -> names of its column, as they are compared; the first that a table has counts."""


def guessed_columns(table: TextTable) -> dict[str, str]:
    """Attribute -> the column of a table, as it is written, that is taken for it."""
    found: dict[str, str] = {}
    written = dict(reversed(list(zip(table.names, table.header, strict=True))))
    for attribute, usual in USUAL.items():
        name = next((name for name in usual if name in written and written[name] not in found.values()), None)
        if name is None and attribute == "label":
            guess = table.label_column(())
            name = guess if guess in written and written[guess] not in found.values() else None
        if name is not None and not (attribute == "length" and "end" in found):
            found[attribute] = written[name]
    return found


def _recognise(table: TextTable) -> bool:
    found = guessed_columns(table)
    return "start" in found and ("end" in found or "length" in found)


def _read(table: TextTable, path: str) -> list[Annotation]:
    found = guessed_columns(table)
    if not _recognise(table):
        raise FileTableError(
            f"has no columns for the start and the end of a region, found {list(table.header)}: call them 'start' "
            "and 'end'"
        )
    return ColumnMap({written: attribute for attribute, written in found.items()}).read(table, path)


def write_header(file: Path, columns: Sequence[str] = ()) -> None:
    """Write a plain CSV without annotations, with further columns.

    Args:
        file: where.
        columns: their names.
    """
    write_table(file, [*Annotation("", 0, 0).record(), *columns], [])


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    records = [one.record() for one in annotations]
    names = list(dict.fromkeys(name for record in records for name in record))
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(map(csv_cell, names))
        writer.writerows([_cell(record.get(name)) for name in names] for record in records)


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    if isinstance(value, str):
        return csv_cell(value)
    return decimal(value) if isinstance(value, float) and value and abs(value) < 1e-4 else value


PLAIN_CSV = register_format(
    "csv",
    AnnotationFormat(
        title="plain CSV",
        ending=".csv",
        write=_write,
        recognise=_recognise,
        read=_read,
        any_columns=True,
        guess=guessed_columns,
    ),
)
