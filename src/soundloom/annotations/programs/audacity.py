r"""Audacity's label tracks: start, end and label between tabs, and a line ``\  low  high`` after a label with limits.

A track belongs to one sound and does not name it: a folder of tracks has one for each, named after it. Scores,
annotators and further columns have no room in it (Audacity manual, "Importing and exporting labels").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.delimited_text import TextTable, decimal, fixed, number, seconds, write_table
from soundloom.errors import FileTableError

__all__ = ["AUDACITY"]


def _recognise(table: TextTable) -> bool:
    try:
        return len(table.header) >= 2 and None not in [seconds(cell, 1, "") for cell in table.header[:2]]
    except FileTableError:
        return False


def _read(table: TextTable, path: str) -> list[Annotation]:
    found: list[Annotation] = []
    whole = False  # whether the label of the line before was read
    for line, row in enumerate((table.header, *table.rows), start=1):
        cells = [*row, "", ""][:3]
        limits = cells[0].strip() == "\\" and line > 1
        if limits and not whole:
            continue
        whole = False
        with table.reading(line):
            if limits:
                # Minus one is a limit that was not set.
                low, high = (value if value is not None and value >= 0 else None for value in _pair(cells[1:], line))
                last = found[-1]
                found[-1] = Annotation(last.path, last.start, last.end, last.label, low=low, high=high)
                continue
            start, end = (seconds(cell, line, "time") for cell in cells[:2])
            if start is None:
                raise FileTableError(f"has no time in line {line}: a label has a start and an end")
            found.append(Annotation(path, start, start if end is None else max(start, end), cells[2]))
            whole = True
    return found


def _pair(cells: Sequence[str], line: int) -> list[float | None]:
    return [number(cell, line, "frequency") for cell in cells]


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    rows: list[tuple[str, str, str]] = []
    for one in sorted(annotations, key=lambda one: (one.start, one.end, one.label)):
        rows.append((fixed(one.start), fixed(one.end), one.label))
        if one.low is not None or one.high is not None:
            limits = ["-1" if limit is None else decimal(limit) for limit in (one.low, one.high)]
            rows.append(("\\", *limits))  # type: ignore[arg-type]  # a pair
    write_table(file, (), rows, tabs=True)


AUDACITY = register_format(
    "audacity",
    AnnotationFormat(title="labels for Audacity", ending=".txt", write=_write, recognise=_recognise, read=_read),
)
