"""Annotations as named values: JSON, a list of objects, and parquet. They are read as a plain table of their names."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.annotations.delimited_text import TextTable, cell_text, further_columns
from soundloom.annotations.programs.plain_csv import PLAIN_CSV
from soundloom.errors import FileTableError

__all__ = ["JSON", "PARQUET"]

_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*[\[{\"\]]|\{\s*[\"}])")


def _decode_json(data: bytes) -> TextTable | None:
    if _JSON.match(data) is None:
        return None
    try:
        records = json.loads(data)
    except ValueError as error:
        raise FileTableError(f"is not JSON ({error})") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise FileTableError("is JSON of another form: a list of objects with 'path', 'start' and 'end' is needed")
    return _table(records)


def _decode_parquet(data: bytes) -> TextTable | None:
    if not data.startswith(b"PAR1"):
        return None
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return _table(parquet.read_table(io.BytesIO(data)).to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise FileTableError(f"is a damaged parquet file: {error}") from None


def _table(records: Sequence[Mapping[str, Any]]) -> TextTable:
    """Records as a table: a column for every name, and the number of the record for the line."""
    names = further_columns(records)
    rows = (tuple(cell_text(record.get(name)) for name in names) for record in records)
    return TextTable(tuple(names), tuple(rows), tuple(range(1, len(records) + 1)))


def _write_json(annotations: Sequence[Annotation], file: Path) -> None:
    text = json.dumps([one.record() for one in annotations], indent=2, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def _write_parquet(annotations: Sequence[Annotation], file: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"path": pa.string(), "start": pa.float64(), "end": pa.float64(), "label": pa.string()}
    records = [one.record() for one in annotations]
    columns = {name: pa.array([record[name] for record in records], kind) for name, kind in kinds.items()}
    columns["score"] = pa.array([one.score for one in annotations], pa.float64())
    for name in dict.fromkeys(name for record in records for name in record if name not in columns):
        columns[name] = pa.array([record.get(name) for record in records])
    parquet.write_table(pa.table(columns), file)


JSON = register_format(
    "json",
    AnnotationFormat(
        title="JSON",
        ending=".json",
        write=_write_json,
        decode=_decode_json,
        read=PLAIN_CSV.read,
        any_columns=True,
        guess=PLAIN_CSV.guess,
    ),
)
PARQUET = register_format(
    "parquet",
    AnnotationFormat(
        title="parquet",
        ending=".parquet",
        write=_write_parquet,
        decode=_decode_parquet,
        read=PLAIN_CSV.read,
        any_columns=True,
        guess=PLAIN_CSV.guess,
    ),
)
