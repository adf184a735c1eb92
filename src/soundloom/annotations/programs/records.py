"""Annotations as named values: JSON and parquet; written only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format

__all__ = ["JSON", "PARQUET"]


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


JSON = register_format("json", AnnotationFormat(title="JSON", ending=".json", write=_write_json))
PARQUET = register_format("parquet", AnnotationFormat(title="parquet", ending=".parquet", write=_write_parquet))
