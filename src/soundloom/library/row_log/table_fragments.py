"""Fragments of a Lance table, read from the manifest of a version: which rows came or went, without reading rows.

A row id is the number of its fragment and, in the lower 32 bits, its place in that. A fragment's files are never
changed: rows that are written go to new fragments, and rows that are deleted, or written anew, are listed in a deletion
file of their fragment. The manifest is a Protocol Buffers message of the published format (``table.proto``).

When not: for deletion files with thousands of rows, which are bitmaps that only Lance reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import CacheDamagedError
from soundloom.library.storage.integrity.manifests import manifest_of

__all__ = ["PLACES", "Fragment", "deleted_row_ids", "read_fragments"]

PLACES = 2**32
"""Row ids of a fragment."""
_MAGIC = b"LANC"
_FRAGMENT, _ID, _FILE, _DELETIONS, _ROWS = 2, 1, 2, 3, 4
_PATH = 1
_KIND, _READ_VERSION, _NUMBER, _DELETED = 1, 2, 3, 4
_ARROW = 0


class Fragment(NamedTuple):
    """A fragment of a version of a table.

    Attributes:
        rows: with the deleted ones.
        files: names of its data files, which no other fragment of any table has.
        deleted: how many rows are deleted.
        deletions: name of the file that lists these; "" where there is none, or Arrow cannot read it.
    """

    rows: int
    files: str
    deleted: int
    deletions: str


def read_fragments(table: Path, version: int) -> dict[int, Fragment] | None:
    """The fragments of a version of a table, by number; None where the manifest is not as expected.

    Args:
        table: the table's folder.
        version: of the table.
    """
    manifest = manifest_of(table, version)
    try:
        return None if manifest is None else dict(_fragments(manifest.read_bytes()))
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, struct.error, CacheDamagedError):
        return None


def deleted_row_ids(table: Path, number: int, fragment: Fragment) -> NDArray[np.uint64] | None:
    """The row ids of a fragment's deleted rows; None where they cannot be read.

    Args:
        table: the table's folder.
        number: of the fragment.
        fragment: the fragment.
    """
    import pyarrow as pa

    if not fragment.deleted:
        return np.zeros(0, np.uint64)
    if not fragment.deletions:
        return None
    try:
        with pa.OSFile(str(table / "_deletions" / fragment.deletions), "rb") as file:
            places = pa.ipc.open_file(file).read_all()["row_id"].to_numpy()
    except (OSError, KeyError, pa.ArrowException):
        return None
    return places.astype(np.uint64) + np.uint64(number * PLACES) if len(places) == fragment.deleted else None


def _fragments(content: bytes) -> Iterator[tuple[int, Fragment]]:
    """The fragments of a manifest; the message begins where the end of the file says."""
    if content[-4:] != _MAGIC:
        raise CacheDamagedError("it is no manifest")
    (begin,) = struct.unpack("<Q", content[-16:-8])
    (size,) = struct.unpack("<I", content[begin : begin + 4])
    for field, value in _message(content[begin + 4 : begin + 4 + size]):
        if field == _FRAGMENT:
            parts = list(_message(value))
            one: Mapping[int, Any] = dict(parts)
            number = one.get(_ID, 0)
            files = ",".join(dict(_message(file))[_PATH].decode() for name, file in parts if name == _FILE)
            deletions = dict(_message(one.get(_DELETIONS, b"")))
            readable = deletions and deletions.get(_KIND, _ARROW) == _ARROW
            name = f"{number}-{deletions.get(_READ_VERSION, 0)}-{deletions.get(_NUMBER, 0)}.arrow" if readable else ""
            yield number, Fragment(one.get(_ROWS, 0), files, deletions.get(_DELETED, 0), name)


def _message(content: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: numbers, and bytes of texts and messages."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = content[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(content):
        tag = number()
        field, kind = tag >> 3, tag & 7
        if kind == 0:
            yield field, number()
            continue
        size = {1: 8, 5: 4}[kind] if kind in (1, 5) else number()
        if kind not in (1, 2, 5) or place + size > len(content):
            raise CacheDamagedError(f"field {field} is of kind {kind} and {size} bytes")
        yield field, content[place : place + size]
        place += size
