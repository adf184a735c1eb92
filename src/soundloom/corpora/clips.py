"""Table of clips: the one schema that every adapter fills.

In Arrow, so that it goes to and from parquet, pandas and a library's own tables without a loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

if TYPE_CHECKING:
    from pyarrow import Schema, Table
else:
    Schema = Table = Any  # pyarrow is imported when the first table is made, not before

__all__ = ["clip_schema", "clip_table", "label_pairs"]


def clip_schema() -> Schema:
    """The columns that every corpus has, with their types; an empty cell means unknown or not applicable."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("start", pa.float64()),
            pa.field("end", pa.float64()),
            pa.field("labels", pa.list_(pa.string()), nullable=False),
            pa.field("tags", pa.list_(pa.string()), nullable=False),
            pa.field("split", pa.string()),
            pa.field("fold", pa.int32()),
            pa.field("group", pa.string()),
        ]
    )


def clip_table(
    paths: Sequence[str],
    labels: Sequence[str | Sequence[str]],
    *,
    tags: Sequence[Sequence[str]] | None = None,
    starts: Sequence[float | None] | None = None,
    ends: Sequence[float | None] | None = None,
    splits: Sequence[str | None] | None = None,
    folds: Sequence[int | None] | None = None,
    groups: Sequence[str | None] | None = None,
    extra: Mapping[str, Sequence[Any]] | None = None,
) -> Table:
    """The table of a corpus, from its columns.

    Args:
        paths: absolute path of each clip's file.
        labels: each clip's label, or labels.
        tags: each clip's free words; none when left out, as with every column below.
        starts: where in the file the clip begins, in seconds; None for the file's beginning.
        ends: where in the file the clip ends, in seconds; None for the file's end.
        splits: "train", "valid", "test" or None.
        folds: the clip's fold, or None.
        groups: what must not be parted (a speaker, a recording, an instrument), or None.
        extra: further columns, their types as Arrow infers them.

    Returns:
        A pyarrow table with columns path, start, end, labels, tags, split, fold, group, and the extra ones.
    """
    import pyarrow as pa

    nothing = [None] * len(paths)
    columns = [
        list(paths),
        starts or nothing,
        ends or nothing,
        [[label] if isinstance(label, str) else list(label) for label in labels],
        tags or [[]] * len(paths),
        splits or nothing,
        folds or nothing,
        groups or nothing,
    ]
    table = pa.table(columns, schema=clip_schema())
    for name, values in (extra or {}).items():
        table = table.append_column(name, pa.array(values))
    return table


def label_pairs(
    table: Table, classes: Sequence[str]
) -> tuple[Int64[np.ndarray, " labels"], Int64[np.ndarray, " labels"]]:
    """Every label of every clip, as (row of the table, class number or -1), in row order."""
    import pyarrow as pa
    from pyarrow import compute

    labels = table.column("labels").combine_chunks()
    lengths = compute.list_value_length(labels).to_numpy(zero_copy_only=False).astype(np.int64)
    numbers = compute.index_in(labels.flatten(), value_set=pa.array(classes, pa.string()))
    return np.repeat(np.arange(table.num_rows), lengths), numbers.fill_null(-1).to_numpy().astype(np.int64)
