"""Tables of annotations as text: cells kept as they are written, numbers and times in the spellings of the field."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np

from soundloom.errors import FileTableError, InvalidArgumentError
from soundloom.file_tables import column_name, decode_text
from soundloom.safe_text import csv_cell, csv_line, csv_line_text, csv_text

__all__ = [
    "TextTable",
    "cell_text",
    "decimal",
    "fixed",
    "further_columns",
    "number",
    "read_table",
    "seconds",
    "write_table",
]

_DELIMITERS = ",;|"
_LABELS = frozenset(("label", "labels", "species", "annotation", "class", "taxon", "tag", "vocalization"))
_SEPARATOR_LINE = re.compile(r'\A"?sep=."?\r?\n', re.IGNORECASE)
"""What Excel writes first."""
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d*)?)")


@dataclass(frozen=True)
class TextTable:
    """A table as it is written.

    Attributes:
        header: the names of its columns as they are written; empty where there is none.
        rows: the cells of every row, by column; a row that is too short has empty cells.
        lines: the line of the file at which every row ends.
        left_out: what is wrong with the rows that are left out as they cannot be read; None where such a row is an
            error.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    left_out: list[str] | None = None

    @contextmanager
    def reading(self, line: int) -> Iterator[None]:
        """Surrounds the reading of one row, and leaves it out if it cannot be read.

        Raises:
            FileTableError: it cannot be read, and is not left out.
        """
        try:
            yield
        except InvalidArgumentError as error:
            known = isinstance(error, FileTableError)
            said = str(error) if known else f"has a row that cannot be, line {line}: {error}"
            if self.left_out is None:
                raise FileTableError(said) from None
            self.left_out.append(said)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns as they are compared: lower case, spaces and hyphens as ``_``."""
        return tuple(map(column_name, self.header))

    def has(self, *names: str) -> bool:
        """Whether all these columns are there, as `names` spells them."""
        return set(names) <= set(self.names)

    def label_column(self, usual: Sequence[str]) -> str:
        """The compared name of the column of labels: a usual one, else the first that speaks of them; empty: none."""
        return next((name for name in usual if name in self.names), "") or next(
            (name for name in self.names if _LABELS & set(name.split("_"))), ""
        )

    def records(self) -> Iterable[tuple[int, dict[str, str]]]:
        """The line and the cells by compared name of every row; of columns called alike the first."""
        names = self.names
        for line, row in zip(self.lines, self.rows, strict=True):
            yield line, dict(reversed(list(zip(names, row, strict=True))))

    def rest(self, row: int, used: Iterable[str]) -> dict[str, str]:
        """The cells of a row in all columns but some, by the columns' written names."""
        known = set(used)
        cells = zip(self.names, self.header, self.rows[row], strict=True)
        return {written: cell for name, written, cell in cells if name not in known}


def read_table(data: bytes, left_out: list[str] | None = None) -> TextTable:
    """Read delimited text whose first line names its columns; the delimiter is a tab, or what divides that line most.

    Args:
        data: the text.
        left_out: the table's; to it the rows are added that have more cells than there are columns.

    Raises:
        FileTableError: it is no text, or empty, or a row has too many cells, and is not left out.
    """
    text = _SEPARATOR_LINE.sub("", decode_text(data))
    first = next(iter(text.splitlines()), "")
    by_cells = max(_DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))
    delimiter = "\t" if "\t" in first else by_cells
    if delimiter == "\t":  # programs that write tabs quote nothing
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        found = [(number, [csv_line_text(cell) for cell in line.rstrip("\r").split("\t")]) for number, line in lines]
    else:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            found = [(reader.line_num, [csv_text(cell) for cell in row]) for row in reader if any(map(str.strip, row))]
        except csv.Error as error:
            raise FileTableError(f"is not a table (line {reader.line_num}: {error})") from None
    if not found:
        raise FileTableError("is empty")
    header = tuple(found[0][1])
    table = TextTable(header, (), (), left_out)
    rows, ends = [], []
    for line, cells in found[1:]:
        with table.reading(line):
            if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
                raise FileTableError(
                    f"has {len(cells)} cells in line {line} and {len(header)} columns: quote the delimiter"
                )
            rows.append(tuple([*cells, *[""] * len(header)][: len(header)]))
            ends.append(line)
    return replace(table, rows=tuple(rows), lines=tuple(ends))


def write_table(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]], *, tabs: bool = False) -> None:
    """Write a table that `read_table` reads back, cell for cell.

    Args:
        file: where.
        header: the names of the columns; empty for a table without them.
        rows: texts, as many as there are columns.
        tabs: divide by tabs and quote nothing, as Raven does; else by commas.
    """
    with open(file, "w", newline="", encoding="utf-8") as stream:
        if tabs:
            stream.writelines("\t".join(map(csv_line, row)) + "\n" for row in (header, *rows) if row)
            return
        writer = csv.writer(stream)
        writer.writerows([csv_cell(cell) for cell in row] for row in (header, *rows))


def number(cell: str, line: int, column: str) -> float | None:
    """The number in a cell, also with a decimal comma; None where it is empty.

    Raises:
        FileTableError: it is none.
    """
    text = cell.strip()
    if not text or text.lower() in ("nan", "na", "none", "null", "-"):
        return None
    try:
        value = float(text if "." in text else text.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise FileTableError(f"has {cell!r} in line {line}, column {column!r}: a number is needed there")
    return value


def seconds(cell: str, line: int, column: str) -> float | None:
    """The same for times, which may be written ``1:02:03.5`` or ``2:03``."""
    clock = _CLOCK.fullmatch(cell.strip())
    if clock is None:
        return number(cell, line, column)
    hours, minutes, rest = clock.groups()
    return 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(rest.replace(",", "."))


def decimal(value: float | None) -> str:
    """A number with as many decimals as it takes to read it back, none of them in powers of ten; empty for None.

    >>> decimal(0.1), decimal(3.0), decimal(1e-7), decimal(None)
    ('0.1', '3', '0.0000001', '')
    """
    return "" if value is None else np.format_float_positional(value, trim="-")


def cell_text(value: object) -> str:
    """A value of a further column as a cell: lists with semicolons, nothing for None.

    >>> cell_text(["dog", "farm"]), cell_text(0.5), cell_text(None)
    ('dog; farm', '0.5', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return decimal(value)
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def fixed(value: float) -> str:
    """A number with six decimals, or with more if it takes more to read it back.

    >>> fixed(2.5), fixed(1e-7)
    ('2.500000', '0.0000001')
    """
    text = f"{value:.6f}"
    return text if float(text) == value else decimal(value)


def further_columns(records: Sequence[Mapping[str, object]]) -> list[str]:
    """The names of the further columns of some annotations, in the order in which they occur."""
    return list(dict.fromkeys(name for record in records for name in record))
