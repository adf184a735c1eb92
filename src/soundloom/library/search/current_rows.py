"""The rows of a library's search index, read without the store, as long as the index is up to date.

Opening the store takes a second of imports. Whether an index was built from the store as it is can be seen without
that: LanceDB names the manifest of every version of a table after its number, and the index holds the number and the
checksum of the manifest that it was built from.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.errors import CacheDamagedError
from soundloom.library.search.vector_index.index_files import IndexFiles, read_manifest

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["current_rows"]

_VERSIONS = Path("store", "segments.lance", "_versions")
_LARGEST = 2**64 - 1
_REVERSED = 20
"""Digits of a file name that counts down from the largest number; older tables count up, without zeros in front."""


def current_rows(folder: Path) -> pa.Table | None:
    """Path, start, end, duration and tags of every segment, ordered by path and start.

    Args:
        folder: the library's.

    Returns:
        None where there is no such library, or its index is missing, damaged or older than its store: open the library
        then.
    """
    try:
        latest = max((folder / _VERSIONS).glob("*.manifest"), key=_number, default=None)
        manifest = read_manifest(folder / "index")
        if latest is None or manifest is None:
            return None
        identity = f"{zlib.crc32(latest.read_bytes()):08x}"
        if (manifest["version"], manifest["store"]) != (_number(latest), identity):
            return None
        return IndexFiles(folder / "index", manifest).rows()
    except (OSError, ValueError, CacheDamagedError):
        return None


def _number(manifest: Path) -> int:
    number = int(manifest.stem)
    return _LARGEST - number if len(manifest.stem) == _REVERSED else number
