"""Raven's selection tables: tabs, a selection a row, of any number of files (Raven Pro 1.6 user's manual).

Raven takes the files of a table as one sound: its times go on where the file before ends, and ``File Offset (s)`` is
the time in the file. Where the length of a file that others follow is not known, all times are written as those in the
files, with a warning. Raven writes a row for each view of a selection; one of them is read, the spectrogram's if there
is one. Ends of regions are rounded to the microsecond where a table has offsets.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from soundloom import audio
from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.column_map import without_empty
from soundloom.annotations.delimited_text import (
    TextTable,
    cell_text,
    decimal,
    fixed,
    further_columns,
    number,
    seconds,
    write_table,
)
from soundloom.errors import AudioError, FileTableError
from soundloom.file_names import os_path

__all__ = ["RAVEN"]

_NUMBERED = ("Selection", "View", "Channel")
_BEGIN, _END, _LOW, _HIGH = "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"
_PATH, _OFFSET = "Begin Path", "File Offset (s)"
_LABELS = ("label", "annotation", "species", "common_name", "call_type", "notes")
_PATHS = ("begin_path", "begin_file")
_SCORES = ("score", "confidence")
_VIEW = {"View": "Spectrogram 1", "Channel": "1"}


def _recognise(table: TextTable) -> bool:
    return table.has("selection", "begin_time_(s)", "end_time_(s)")


def _guess(table: TextTable) -> dict[str, str]:
    """The column of labels, where it has none of the usual names."""
    name = table.label_column(_LABELS)
    return {"label": table.header[table.names.index(name)]} if name and name not in _LABELS else {}


def _read(table: TextTable, path: str) -> list[Annotation]:
    label = table.label_column(_LABELS)
    score = next((name for name in _SCORES if name in table.names), "")
    found: dict[str, tuple[bool, Annotation]] = {}
    used = {"selection", "begin_time_(s)", "end_time_(s)", "low_freq_(hz)", "high_freq_(hz)", "file_offset_(s)"}
    used |= {label, score, "annotator", *_PATHS}
    files_named = any(cells.get(name) for _, cells in table.records() for name in _PATHS)
    for row, (line, cells) in enumerate(table.records()):
        with table.reading(line):
            begin, end = (seconds(cells[name], line, name) for name in ("begin_time_(s)", "end_time_(s)"))
            if begin is None or end is None:
                raise FileTableError(f"has no time in line {line}: a selection has a begin and an end")
            offset = seconds(cells.get("file_offset_(s)", ""), line, _OFFSET)
            if offset is not None:
                begin, end = offset, round(offset + (end - begin), 9)
            file = next((cells[name] for name in _PATHS if cells.get(name)), path)
            if files_named and not file:
                raise FileTableError(f"has no {_PATH} in line {line}: name the file, or leave out the row")
            rest = {name: cell for name, cell in table.rest(row, used).items() if _VIEW.get(name) != cell}
            annotation = Annotation(
                file, begin, max(begin, end), cells.get(label, ""), number(cells.get(score, ""), line, score), None,
                rest, number(cells.get("low_freq_(hz)", ""), line, _LOW),
                number(cells.get("high_freq_(hz)", ""), line, _HIGH), cells.get("annotator", ""),
            )  # fmt: skip
            key = cells["selection"].strip() or f"line {line}"
            waveform = cells.get("view", "").lower().startswith("waveform")
            if key not in found or (found[key][0] and not waveform):
                found[key] = (waveform, annotation)
            elif waveform == found[key][0] and cells.get("view", "") == "":
                # Numbers repeat in tables that were joined.
                found[f"{key} in line {line}"] = (waveform, annotation)
    numbered = [
        one if key == str(count) else replace(one, columns={"Selection": key, **one.columns})
        for count, (key, (_, one)) in enumerate(found.items(), start=1)
    ]
    return without_empty(numbered)


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    begins = _begins(annotations)
    further = [name for name in further_columns([one.columns for one in annotations]) if name not in _NUMBERED]
    bounded = any(one.low is not None or one.high is not None for one in annotations)
    named = any(one.annotator for one in annotations)
    header = [*_NUMBERED, _BEGIN, _END, *([_LOW, _HIGH] if bounded else []), _PATH, _OFFSET, "Label", "Score"]
    rows = []
    for count, one in enumerate(annotations, start=1):
        first = begins[one.path]
        view = [str(one.columns.get(name, usual)) for name, usual in _VIEW.items()]
        limits = [decimal(one.low), decimal(one.high)] if bounded else []
        score = "" if one.score is None else fixed(one.score)
        row = [
            str(one.columns.get("Selection", count)),
            *view,
            fixed(first + one.start),
            fixed(first + one.end),
            *limits,
        ]
        row += [one.path, fixed(one.start), one.label, score, *([one.annotator] if named else [])]
        rows.append([*row, *(cell_text(one.columns.get(name)) for name in further)])
    write_table(file, [*header, *(["Annotator"] if named else []), *further], rows, tabs=True)


def _begins(annotations: Sequence[Annotation]) -> dict[str, float]:
    """The second of the joined sound at which every file begins."""
    known: dict[str, float | None] = dict.fromkeys(one.path for one in annotations)
    for one in annotations:
        if one.duration is not None:
            known[one.path] = max(one.duration, known[one.path] or 0.0)
    begins, total = {}, 0.0
    *before, last = known or [""]
    for path in before:
        begins[path], duration = total, known[path]
        length = _length(path) if duration is None else duration
        if length is None:
            warnings.warn(
                f"the length of {path!r} is not known, so Begin Time (s) is the time in each file: open the files one "
                "by one in Raven, or write the table where they are",
                UserWarning,
                stacklevel=4,
            )
            return dict.fromkeys(known, 0.0)
        total += length
    return {**begins, last: total}


def _length(path: str) -> float | None:
    """Seconds of a file by its header; None where it cannot be read, or does not say."""
    try:
        return audio.info(os_path(path)).duration
    except (AudioError, OSError):
        return None


RAVEN = register_format(
    "raven",
    AnnotationFormat(
        title="Raven's selection table",
        ending=".selections.txt",
        write=_write,
        recognise=_recognise,
        read=_read,
        guess=_guess,
    ),
)
