"""Schemas of a library's tables in Arrow, and the records that are read from them.

One row a segment; size, modification time, content hash, notices and version of decoding are those of its file and the
same in all of the file's rows.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.file_names import os_path
from soundloom.remote import open_binary

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.audio import Notice

__all__ = [
    "ADDED_COLUMNS",
    "Failure",
    "FileNotice",
    "FileState",
    "as_mask",
    "content_checksum",
    "content_hash",
    "embedding_matrix",
    "failure_schema",
    "failure_table",
    "notice_lines",
    "read_notices",
    "segment_rows",
    "segment_schema",
    "whole_column",
    "with_column",
]

ADDED_COLUMNS = {"decoder": "int", "notices": "string"}
"""Columns that tables of earlier versions lack, and their SQL types."""


@dataclass(frozen=True)
class FileState:
    """What the store knows of an indexed file: size in bytes, modification time, content hash."""

    path: str
    size: int
    mtime_ns: int
    hash: str


def content_hash(path: str | os.PathLike[str]) -> str:
    """BLAKE2b of a file's bytes, 128 bits in hexadecimal."""
    with open_binary(os_path(path)) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class FileNotice:
    """What was noticed of a file when it was decoded: a code of `soundloom.audio.NOTICE_KINDS`, and the details."""

    path: str
    code: str
    text: str


def segment_schema(dim: int) -> pa.Schema:
    """The columns of the segment table, for embeddings of a size."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("start", pa.float64(), nullable=False),
            pa.field("end", pa.float64(), nullable=False),
            pa.field("duration", pa.float64(), nullable=False),
            pa.field("size", pa.int64(), nullable=False),
            pa.field("mtime_ns", pa.int64(), nullable=False),
            pa.field("hash", pa.string(), nullable=False),
            pa.field("tags", pa.list_(pa.string())),
            pa.field("embedding", pa.list_(pa.float32(), dim), nullable=False),
            pa.field("decoder", pa.int32()),
            pa.field("notices", pa.string()),
        ]
    )


def failure_schema() -> pa.Schema:
    """The columns of the table of files that could not be indexed."""
    import pyarrow as pa

    return pa.schema([pa.field("path", pa.string(), nullable=False), pa.field("reason", pa.string(), nullable=False)])


def failure_table(failures: Sequence[Failure]) -> pa.Table:
    """The table of files that could not be indexed."""
    import pyarrow as pa

    columns = [[failure.path for failure in failures], [failure.reason for failure in failures]]
    return pa.table(columns, schema=failure_schema())


def notice_lines(notices: Sequence[Notice]) -> str | None:
    """Notices as they are stored: a line each, code and text."""
    return "\n".join(f"{notice.code}: {' '.join(notice.text.split())}" for notice in notices) or None


def read_notices(lines: Mapping[str, str]) -> list[FileNotice]:
    """The notices of files, sorted by path, from what `notice_lines` gave of each."""
    return [FileNotice(path, *line.split(": ", 1)) for path, some in sorted(lines.items()) for line in some.split("\n")]


def segment_rows(
    state: FileState,
    starts: Sequence[float],
    ends: Sequence[float],
    embeddings: NDArray[np.float32],
    tags: Sequence[Sequence[str]],
    notices: Sequence[Notice] = (),
) -> pa.Table:
    """The rows of one file, as the segment table takes them.

    Args:
        state: the file.
        starts: where its segments begin, in seconds.
        ends: where they end.
        embeddings: ``[segments, dim]``.
        tags: those of each segment.
        notices: what was noticed when it was decoded.
    """
    import pyarrow as pa

    from soundloom.audio import DECODER_VERSION  # searches of names do without

    count, dim = embeddings.shape
    columns: list[Any] = [
        [state.path] * count,
        list(starts),
        list(ends),
        [max(ends)] * count,
        [state.size] * count,
        [state.mtime_ns] * count,
        [state.hash] * count,
        list(map(list, tags)),
        pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), dim),
        [DECODER_VERSION] * count,
        [notice_lines(notices)] * count,
    ]
    return pa.table(columns, schema=segment_schema(dim))


def content_checksum(digest: str) -> int:
    """A number of 31 bits for the hash of a content, by which rows that may have it are found."""
    return zlib.crc32(digest.encode()) >> 1


def as_mask(mask: pa.Array) -> NDArray[np.bool_]:
    """A mask of Arrow in NumPy; what is not known does not hold."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), np.bool_)


def embedding_matrix(batch: pa.RecordBatch, dim: int) -> NDArray[np.float32]:
    """The embedding column of a batch of segments as ``[rows, dim]``, without a copy."""
    return np.asarray(batch["embedding"].flatten().to_numpy(zero_copy_only=True)).reshape(-1, dim)


def with_column(table: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    """A table with other values in one of its columns."""
    import pyarrow as pa

    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(values, field.type))


def whole_column(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece; one that is in one piece already is not copied, which Arrow's `combine_chunks` would do.

    Args:
        table: such as the rows of a search index, which are mapped into memory.
        name: of the column.
    """
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
