"""Rows of a library's search index and fields of its files, read without the store while the index is up to date.

Whether an index was built from the store as it is can be seen without opening that: the index holds the version and the
checksum of the manifest that it was built from.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.errors import CacheDamagedError
from soundloom.library.search.fields.file_fields import FileFields
from soundloom.library.search.vector_index.index_files import IndexFiles, read_manifest
from soundloom.library.storage.contents import latest_manifest
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.library.storage.store_folders import store_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["current_fields", "current_rows"]


def current_fields(folder: Path) -> FileFields | None:
    """Fields of the files; None where `current_rows` gives none.

    Args:
        folder: the library's.
    """
    rows = current_rows(folder)
    return None if rows is None else FileFields(rows, read_facts_table(folder))


def current_rows(folder: Path) -> pa.Table | None:
    """Path, start, end, duration and tags of every segment, ordered by path and start.

    Args:
        folder: the library's.

    Returns:
        None where there is no such library, or its index is missing, damaged or older than its store: open the library
        then.
    """
    try:
        latest = latest_manifest(store_folder(folder) / "segments.lance")
        manifest = read_manifest(folder / "index")
        if latest is None or manifest is None:
            return None
        version, file = latest
        if (manifest["version"], manifest["store"]) != (version, f"{zlib.crc32(file.read_bytes()):08x}"):
            return None
        return IndexFiles(folder / "index", manifest).rows()
    except (OSError, ValueError, CacheDamagedError):
        return None
