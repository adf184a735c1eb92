"""The files of a search index on disk, with a manifest of what they were built from, their lengths and checksums.

    index.json     format, store, parts, the length and block checksums of every other file, and its own checksum
    rows.arrow     path, start, end, duration, tags, notices, row id and a checksum of the content of every row
    failures.arrow path and reason of every file that could not be read
    scaling.npz    mean and inverse deviation of every column
    sample.npy     raw embeddings of every n-th row
    vectors.npy    standardised embeddings of all rows
    norms.npy      lengths of their parts before these had unit length; not there if an earlier version built the index
    cells.faiss    inverted file, for large libraries with clusters
    codes.faiss    product codes, for large libraries; not there if an earlier version built the index

Libraries beyond a gigabyte have no norms.npy, cells.faiss and codes.faiss, and vectors in half precision:

    cells.npz      centroids of the cells of each part and of the codes, and how many rows each cell has (`part_lists`)
    lists-N.bin    lists of product codes in the cells of a part

What has changed since is in changes.npz (`soundloom.library.row_log.change_log`), which has a checksum of its own. It
must be there if the manifest says so: then the manifest has the state of the store with the changes.

Small files are checked when they are opened, codes when they are first used. ``vectors.npy`` and ``cells.faiss`` are
mapped into memory and checked block by block when a search first uses a block.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import CacheDamagedError
from soundloom.library.row_log.change_log import CHANGES, ChangeLog, StoreState
from soundloom.library.row_log.merged_rows import FixedRows, MergedRows
from soundloom.library.storage.block_checksums import BLOCK_BYTES, CheckedFile, FileChecksum
from soundloom.library.storage.integrity.json_checksum import json_checksum

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FORMAT",
    "NORMS_FILE",
    "ROWS_FILE",
    "VECTORS_FILE",
    "IndexFiles",
    "check_index",
    "create_vectors",
    "new_index",
    "open_index",
    "read_manifest",
    "write_manifest",
    "write_table",
]

FORMAT = 5
"""Version of the folder's layout; an index of another version is rebuilt."""

MANIFEST = "index.json"
ROWS_FILE, VECTORS_FILE, NORMS_FILE = "rows.arrow", "vectors.npy", "norms.npy"

_ROW_BLOCK = 4096
"""Bytes of a checked block of vectors in half precision, of which a search reads a thousand anywhere."""


class IndexFiles:
    """An index folder, open for reading.

    Args:
        folder: the index's.
        manifest: what `read_manifest` gave.

    Attributes:
        manifest: as given.
        log: what has changed since the files were written; None if nothing has.
        state: of the store, which the index shows.

    Raises:
        CacheDamagedError: a file is missing or is not as it was written.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self._folder = folder
        self._stamp = _stamp(folder)
        self.manifest = manifest
        self.log = ChangeLog.read(folder, manifest["checksum"])
        if self.log is None and manifest.get("logged"):
            raise CacheDamagedError(f"{str(folder / CHANGES)!r} is missing, or is of another index")
        self.state = StoreState.from_json(manifest) if self.log is None else self.log.state

    def is_current_in(self, folder: Path) -> bool:
        """Whether the files in a folder are these still, apart from the log."""
        return folder == self._folder and self._stamp is not None and self._stamp == _stamp(folder)

    def rows(self) -> MergedRows:
        """The rows, the table checked whole."""
        return MergedRows(FixedRows(self.table(ROWS_FILE)), self.log)

    def failures(self) -> pa.Table:
        """The files that could not be read."""
        return self.table("failures.arrow") if self.log is None else self.log.failed

    def open(self, name: str) -> CheckedFile:
        """A file by its name.

        Raises:
            CacheDamagedError: it is not in the manifest, cannot be opened, or has another length.
        """
        try:
            expected = FileChecksum.from_json(self.manifest["files"][name])
            return CheckedFile(self._folder / name, expected)
        except (OSError, ValueError, KeyError, TypeError, CacheDamagedError) as error:
            raise CacheDamagedError(f"{str(self._folder / name)!r} cannot be opened ({error})") from None

    def table(self, name: str) -> pa.Table:
        """A table, checked whole."""
        import pyarrow as pa

        file = self.open(name)
        file.check_all()
        return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(file.buffer()))).read_all()

    def arrays(self, name: str) -> Any:
        """An array or an archive of arrays, checked whole."""
        return np.load(io.BytesIO(self.open(name).content()), allow_pickle=False)


def open_index(folder: Path, earlier: IndexFiles | None = None) -> IndexFiles | None:
    """The files of an index folder; None if there is no folder, or its format is another.

    Args:
        folder: the index's.
        earlier: files that are open; if only the log has changed since, they have the same manifest, which is not read
            again.

    Raises:
        CacheDamagedError: the manifest or the log is not as it was written.
    """
    known = earlier if earlier is not None and earlier.is_current_in(folder) else None
    manifest = read_manifest(folder) if known is None else known.manifest
    return None if manifest is None else IndexFiles(folder, manifest)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an index folder, with its checksum; None if there is no folder, or its format is another.

    Raises:
        CacheDamagedError: it is missing, unreadable or not as it was written.
    """
    file = folder / MANIFEST
    try:
        if not folder.exists():
            return None
        manifest = json.loads(file.read_bytes())
        if manifest["format"] != FORMAT:
            if "parts" not in manifest:  # every version has them
                raise CacheDamagedError("it is another file")
            return None
        checksum = manifest.pop("checksum")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, CacheDamagedError) as error:
        raise CacheDamagedError(f"{str(file)!r} cannot be read ({error})") from None
    if checksum != json_checksum(manifest):
        raise CacheDamagedError(f"{str(file)!r} is not as it was written")
    return {**manifest, "checksum": checksum}


def check_index(folder: Path) -> None:
    """Compare every file of an index with its checksums, whether or not the index is up to date.

    Raises:
        CacheDamagedError: one differs.
    """
    files = open_index(folder)
    if files is not None:
        for name in files.manifest["files"]:
            files.open(name).check_all()


@contextmanager
def new_index(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of the index in another when the block ends, and goes when it fails."""
    temporary = folder.with_name(folder.name + ".building")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_manifest(folder: Path, manifest: dict[str, Any], known: dict[str, Any] | None = None) -> str:
    """Write the manifest of the files in a folder. Returns its checksum.

    Args:
        folder: the index's.
        manifest: everything but the format and the files.
        known: checksums of files that have not changed.
    """
    names = sorted(entry.name for entry in folder.iterdir())
    files = {
        name: (known or {}).get(name)
        or FileChecksum.of(folder / name, _ROW_BLOCK if _is_half(folder / name) else BLOCK_BYTES).to_json()
        for name in names
    }
    whole = {**manifest, "format": FORMAT, "files": files}
    whole.pop("checksum", None)
    checksum = json_checksum(whole)
    with open(folder / MANIFEST, "w", encoding="utf-8") as file:
        file.write(json.dumps({**whole, "checksum": checksum}))
    return checksum


def write_table(file: Path, table: pa.Table) -> None:
    """Write a table of an index."""
    import pyarrow as pa

    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def create_vectors(
    folder: Path, rows: int, dim: int, dtype: type[np.float32] | type[np.float16] = np.float32
) -> NDArray[np.floating[Any]]:
    """``vectors.npy`` as a writable memory map, with its space on the disk allocated.

    Raises:
        OSError: the disk is full. Without the allocation, a write to the map would kill the process.
    """
    path = folder / VECTORS_FILE
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file,
            {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (rows, dim)},
        )
        file.flush()
        offset = file.tell()
        _allocate(file.fileno(), offset, rows * dim * np.dtype(dtype).itemsize)
    if not rows:
        return np.zeros((0, dim), dtype)
    return np.memmap(path, dtype, mode="r+", offset=offset, shape=(rows, dim))


def _is_half(file: Path) -> bool:
    """Whether a file is a matrix in half precision."""
    if file.name != VECTORS_FILE:
        return False
    return bool(np.load(file, mmap_mode="r").dtype == np.float16)


def _allocate(descriptor: int, offset: int, size: int) -> None:
    if size == 0:
        return
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, offset, size)
        return
    zeros = bytes(min(size, 2**20))
    for first in range(0, size, len(zeros)):
        os.write(descriptor, zeros[: size - first])


def _stamp(folder: Path) -> tuple[int, int, int] | None:
    """What differs after the files in a folder were replaced; None if there are none."""
    try:
        found = (folder / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
