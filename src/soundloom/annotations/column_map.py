"""Tables that hold the attributes of annotations under a program's names: reading and writing by one mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.delimited_text import (
    TextTable,
    cell_text,
    decimal,
    further_columns,
    number,
    seconds,
    write_table,
)
from soundloom.errors import FileTableError
from soundloom.file_tables import column_name

__all__ = ["ColumnMap", "without_empty"]

_DIGITS = 9
"""Decimals of an end that is the sum of a start and a duration."""


@dataclass(frozen=True)
class ColumnMap:
    """The columns of a program's tables.

    Attributes:
        columns: name of a column, as it is written -> the attribute of `Annotation` that it holds; ``length`` for the
            duration of the region; ``number`` for the number of the row; None for a column of the program's own, which
            is kept among an annotation's further columns.
        always: the columns that are written though nothing is known of them; others are left out then.
        other_names: column -> other names of it that are understood.
        other_labels: columns that hold the label where the label's own is empty; kept as further columns, too.
        window: seconds of a region whose end is not said; None: the end is needed.
    """

    columns: Mapping[str, str | None]
    always: Sequence[str] = ()
    other_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    other_labels: Sequence[str] = ()
    window: float | None = None

    def read(self, table: TextTable, path: str) -> list[Annotation]:
        """The annotations of a table.

        Args:
            table: of the program.
            path: the file that a row is of which names none; empty where that is not known.

        Raises:
            FileTableError: a cell that should hold a number holds none, or a row has no time, or no file though others
                have one, or limits that contradict each other; where such rows are not left out.
        """
        found = []
        names = self._names(table)
        used = {name for attribute, name in names.items() if attribute is not None}
        other = [column_name(name) for name in self.other_labels]
        file_column = names.get("path")
        files_named = file_column is not None and any(cells[file_column] for _, cells in table.records())
        for row, (line, cells) in enumerate(table.records()):
            with table.reading(line):
                cell = {attribute: cells[name] for attribute, name in names.items()}
                if files_named and not (cell["path"] or path):
                    raise FileTableError(f"has no {file_column} in line {line}: name the file, or leave out the row")
                label = cell.get("label", "") or next((cells[name] for name in other if cells.get(name)), "")
                rest = table.rest(row, used)
                if cell.get("number", "").strip() not in ("", str(row + 1)):
                    rest = {self._written("number"): cell["number"], **rest}
                start, end = self._times(cell, line)
                values = {name: number(cell.get(name, ""), line, name) for name in ("score", "low", "high")}
                found.append(
                    Annotation(
                        cell.get("path") or path, start, end, label,
                        columns=rest, annotator=cell.get("annotator", ""), **values,
                    )
                )  # fmt: skip
        return without_empty(found)

    def write(self, annotations: Sequence[Annotation], file: Path) -> None:
        """Write annotations; further columns follow those of the program."""
        known = [
            {name: self._cell(one, name, count) for name in self.columns} for count, one in enumerate(annotations, 1)
        ]
        header = [name for name in self.columns if name in self.always or any(cells[name] for cells in known)]
        further = [name for name in further_columns([one.columns for one in annotations]) if name not in self.columns]
        rows = [
            [*(cells[name] for name in header), *(cell_text(one.columns.get(name)) for name in further)]
            for cells, one in zip(known, annotations, strict=True)
        ]
        write_table(file, [*header, *further], rows)

    @cached_property
    def _spellings(self) -> dict[str, str]:
        """Compared name of a column, and of its other names -> its attribute."""
        spelled: dict[str, str] = {}
        for written, attribute in self.columns.items():
            for name in (written, *self.other_names.get(written, ())):
                if attribute is not None:
                    spelled[column_name(name)] = attribute
        return spelled

    def _names(self, table: TextTable) -> dict[str, str]:
        """Attribute -> the compared name of the table's column that holds it."""
        found: dict[str, str] = {}
        for name in table.names:
            attribute = self._spellings.get(name)
            if attribute is not None and attribute not in found:
                found[attribute] = name
        return found

    def _written(self, attribute: str) -> str:
        return next(name for name, held in self.columns.items() if held == attribute)

    def _times(self, cell: Mapping[str, str], line: int) -> tuple[float, float]:
        start, end, length = (seconds(cell.get(name, ""), line, name) for name in ("start", "end", "length"))
        if start is None:
            raise FileTableError(f"has no start in line {line}: every annotation has one, in seconds")
        if end is None and length is None and self.window is None:
            raise FileTableError(f"has no end in line {line}: every annotation has one, in seconds")
        if end is None:
            end = round(start + (self.window or 0.0 if length is None else length), _DIGITS)
        return start, end

    def _cell(self, one: Annotation, column: str, count: int) -> str:
        attribute = self.columns[column]
        if attribute == "number":
            return cell_text(one.columns.get(column, count))
        if attribute == "length":
            return decimal(round(one.end - one.start, _DIGITS))
        if attribute is None:
            return cell_text(one.columns.get(column))
        value = getattr(one, attribute)
        return value if isinstance(value, str) else decimal(value)


def without_empty(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Annotations without the further columns in which none of them has anything."""
    filled = {name for one in annotations for name, cell in one.columns.items() if cell != ""}
    return [replace(one, columns={name: cell for name, cell in one.columns.items() if name in filled})
            for one in annotations]  # fmt: skip
