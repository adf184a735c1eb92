"""Append-only row store on disk: checksummed, memory-mapped for reading.

    FOLDER/form.json       the form's settings, for people
    FOLDER/index.sqlite    key of a clip -> its first row, how many, and a checksum
    FOLDER/rows-XXXX.bin   the rows, one clip after another

A clip is known by a key that holds all that its rows depend on but the form: the content of the file and the region
of it. The form names the folder. So corpora share clips, and a changed file is another clip.

Rows are written and forced to disk before the index lists them, and nothing that is written is ever moved or
overwritten. So a crash loses the clips that waited and leaves at most one batch of bytes that nobody asks for;
processes that write at the same time take turns, and what one of them has mapped stays what it was.

The index also holds the size and time that the file of rows had when it was last written. Where they are others, a
writer was killed or the file was damaged, and the whole file is read once to compare every clip with its checksum;
those that differ are forgotten, and so prepared again. Damage that leaves size and time as they were is found when a
clip is first read (`FeatureDataset.take`): a clip is the block of these checksums.
"""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import FeatureCacheError
from soundloom.feature_cache.database import open_database, select, transaction

__all__ = ["CachedClip", "Rows", "as_cache_error"]

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clips (key BLOB PRIMARY KEY, first INTEGER, count INTEGER, checksum INTEGER);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT)
"""
_NO_FILE = "none"


class CachedClip(NamedTuple):
    """Where the rows of a clip lie: the number of the first, how many, and the CRC-32 of their bytes."""

    first: int
    length: int
    checksum: int

    def is_intact(self, rows: NDArray[Any]) -> bool:
        """Whether the clip is, among all rows, as it was written."""
        stop = self.first + self.length
        return stop <= len(rows) and zlib.crc32(rows[self.first : stop].data) == self.checksum


@contextmanager
def as_cache_error(folder: Path) -> Iterator[None]:
    """Errors of the system and of SQLite as a `FeatureCacheError`."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise FeatureCacheError(
            f"clips cannot be kept in {str(folder)!r} ({getattr(error, 'strerror', None) or error}): make room or give "
            "permission there, or choose another place with folder=... or, for everything that is cached, with the "
            "environment variable SOUNDLOOM_HOME; what was finished before is not lost"
        ) from error


class Rows:
    """The rows of all clips that were ever kept in one form.

    Args:
        folder: where they lie; made if it is missing.
        shape: of a row.
        dtype: of a row.
        about: the form's settings, written beside the rows.

    Raises:
        FeatureCacheError: the folder cannot be written.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.shape = shape
        self.dtype = dtype
        self._row_bytes = dtype.itemsize * math.prod(shape)
        with as_cache_error(folder):
            self._database = open_database(folder / "index.sqlite", _SCHEMA)
            with transaction(self._database):
                # A new index begins a new file: the old one may still be mapped by somebody.
                self._database.execute(
                    "INSERT OR IGNORE INTO about VALUES ('file', ?), ('stamp', ?)",
                    (f"rows-{secrets.token_hex(4)}.bin", _NO_FILE),
                )
                self._path = folder / self._fact("file")
                if not (folder / "form.json").exists():
                    (folder / "form.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
            self._check()

    def close(self) -> None:
        """Let go of the index; what is mapped stays mapped."""
        self._database.close()

    def find(self, keys: Collection[bytes]) -> dict[bytes, CachedClip]:
        """Where those of the keys lie that are there.

        Raises:
            FeatureCacheError: the index cannot be read.
        """
        with as_cache_error(self.folder):
            found = select(self._database, "SELECT key, first, count, checksum FROM clips WHERE key IN", keys)
            return {key: CachedClip(*clip) for key, *clip in found}

    def forget(self, key: bytes) -> None:
        """Forget a clip that is damaged, so that it can be added again.

        Raises:
            FeatureCacheError: the index cannot be written.
        """
        with as_cache_error(self.folder), transaction(self._database):
            self._database.execute("DELETE FROM clips WHERE key = ?", (key,))

    def add(self, clips: Mapping[bytes, NDArray[Any]]) -> None:
        """Keep the rows of some clips, all of them or, if it fails, none; those that are there already stay.

        Args:
            clips: key -> rows ``[count, *shape]``.

        Raises:
            FeatureCacheError: the folder cannot be written.
        """
        with as_cache_error(self.folder), transaction(self._database):
            # Another process may have been faster.
            known = self.find(list(clips))
            new = {key: np.ascontiguousarray(rows) for key, rows in clips.items() if key not in known}
            if not new:
                return
            intact = self._fact("stamp") == self._stamp()
            first = self._append(list(new.values()))
            counts = [len(rows) for rows in new.values()]
            firsts = first + np.cumsum([0, *counts[:-1]])
            checksums = [zlib.crc32(rows.data) for rows in new.values()]
            self._database.executemany(
                "INSERT OR REPLACE INTO clips VALUES (?, ?, ?, ?)",
                zip(new, firsts.tolist(), counts, checksums, strict=True),
            )
            if intact:
                self._vouch()

    def mapped(self) -> NDArray[Any]:
        """All rows, ``[rows, *shape]``, read from disk when they are touched.

        Raises:
            FeatureCacheError: the file cannot be read.
        """
        with as_cache_error(self.folder):
            rows = self._path.stat().st_size // self._row_bytes if self._path.exists() else 0
            if rows == 0:
                return np.zeros((0, *self.shape), self.dtype)
            return np.asarray(np.memmap(self._path, self.dtype, mode="r", shape=(rows, *self.shape)))

    def _append(self, batch: list[NDArray[Any]]) -> int:
        """Write rows at the end of the file; the number of the first."""
        with open(self._path, "ab") as file:
            size = file.tell()
            # A writer that was killed may have left part of a row.
            first = -(-size // self._row_bytes)
            try:
                file.write(bytes(first * self._row_bytes - size))
                for rows in batch:
                    file.write(rows.data.cast("B"))
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                # Nobody knows of these rows yet; a full disk is glad of the room.
                os.truncate(self._path, size)
                raise
        return first

    def _check(self) -> None:
        """Forget the clips whose rows are not what was written, if anything has happened to the file."""
        with transaction(self._database):
            stamp = self._stamp()
            if stamp == self._fact("stamp"):
                return
            clips = self._database.execute("SELECT key, first, count, checksum FROM clips").fetchall()
        rows = self.mapped()
        damaged = [(key,) for key, *clip in clips if not CachedClip(*clip).is_intact(rows)]
        if damaged:
            _log.warning("%s: %d of %d clips are damaged and are prepared again", self._path, len(damaged), len(clips))
        with transaction(self._database):
            self._database.executemany("DELETE FROM clips WHERE key = ?", damaged)
            # What was written meanwhile was not looked at.
            if stamp == self._stamp():
                self._vouch()

    def _vouch(self) -> None:
        """Note that every clip of the index is in the file as it is now."""
        self._database.execute("UPDATE about SET value = ? WHERE name = 'stamp'", (self._stamp(),))

    def _fact(self, name: str) -> str:
        (value,) = self._database.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return str(value)

    def _stamp(self) -> str:
        """Size and time of the file of rows, which change when it is written."""
        if not self._path.exists():
            return _NO_FILE
        status = self._path.stat()
        return f"{status.st_size} bytes, {status.st_mtime_ns} ns"
