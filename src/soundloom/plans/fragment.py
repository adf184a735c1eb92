"""Fragments of a plan: the embeddings of a shard's files in Arrow's IPC format, a row a file, named by a checksum.

A row has what a library's rows are made of (`soundloom.library.indexing.file_rows.Embedded`), with every bit, and the
facts that the file states, so that a commit opens no sound. A file that failed has its reason and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from soundloom.audio import Notice
from soundloom.errors import LibraryDamagedError
from soundloom.library.indexing.file_rows import Embedded
from soundloom.library.storage.facts_table import FileFacts
from soundloom.library.storage.table_schema import FileState

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FileResult", "decode_fragment", "digest_of", "encode_fragment"]


@dataclass(frozen=True)
class FileResult:
    """What became of a file.

    Attributes:
        path: the file.
        embedded: its embeddings; None if it failed.
        facts: what it states of itself; None if it failed.
        failure: why it failed; empty if it did not.
    """

    path: str
    embedded: Embedded | None = None
    facts: FileFacts | None = None
    failure: str = ""


def digest_of(content: bytes) -> str:
    """BLAKE2b of a fragment, 128 bits in hexadecimal."""
    return blake2b(content, digest_size=16).hexdigest()


def encode_fragment(results: Sequence[FileResult]) -> bytes:
    """The results of a shard as the bytes of a fragment."""
    import pyarrow as pa

    table = pa.Table.from_pylist([_as_row(result) for result in results], schema=_schema())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def decode_fragment(content: bytes) -> Iterator[FileResult]:
    """The inverse of `encode_fragment`.

    Raises:
        LibraryDamagedError: the bytes are no fragment.
    """
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    except pa.ArrowException as error:
        raise LibraryDamagedError(f"a fragment cannot be read: {error}") from None
    for place, row in enumerate(table.drop_columns("embeddings").to_pylist()):
        vectors = table["embeddings"][place].values
        yield FileResult(row["path"], failure=row["failure"]) if row["failure"] else _result(row, vectors.to_numpy())


def _as_row(result: FileResult) -> dict[str, Any]:
    embedded = result.embedded
    if embedded is None or result.facts is None:
        return {"path": result.path, "failure": result.failure}
    peak, rms = embedded.level or (None, None)
    return {
        "path": result.path,
        "size": embedded.state.size,
        "mtime_ns": embedded.state.mtime_ns,
        "hash": embedded.state.hash,
        "starts": list(embedded.starts),
        "ends": list(embedded.ends),
        "times": list(embedded.times),
        "embeddings": np.ascontiguousarray(embedded.embeddings, np.float32).reshape(-1),
        "notices": [asdict(notice) for notice in embedded.notices],
        "peak": peak,
        "rms": rms,
        "facts": json.dumps(asdict(result.facts)),
        "failure": "",
    }


def _result(row: dict[str, Any], vectors: np.ndarray) -> FileResult:
    embedded = Embedded(
        FileState(row["path"], row["size"], row["mtime_ns"], row["hash"]),
        row["starts"],
        row["ends"],
        vectors.reshape(len(row["starts"]), -1),
        row["times"],
        [Notice(**notice) for notice in row["notices"]],
        None if row["peak"] is None else (row["peak"], row["rms"]),
    )
    return FileResult(row["path"], embedded, FileFacts(**json.loads(row["facts"])))


def _schema() -> pa.Schema:
    import pyarrow as pa

    seconds = pa.list_(pa.float64())
    notice = pa.struct([("code", pa.string()), ("text", pa.string())])
    return pa.schema(
        [
            ("path", pa.string()),
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("hash", pa.string()),
            ("starts", seconds),
            ("ends", seconds),
            ("times", seconds),
            ("embeddings", pa.large_list(pa.float32())),
            ("notices", pa.list_(notice)),
            ("peak", pa.float64()),
            ("rms", pa.float64()),
            ("facts", pa.string()),
            ("failure", pa.string()),
        ]
    )
