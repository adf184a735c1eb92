"""Content hashes of files, remembered by size and modification time.

A file's content is known by its hash, and the hash is remembered with the file's size and modification time: only a
file of which either has changed is read. The memory is one table beside what is prepared, for all forms.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from soundloom.audio import AvProcess
from soundloom.errors import AudioError
from soundloom.feature_cache.database import open_database, select, transaction
from soundloom.file_pool import Failed, process

__all__ = ["content_hashes"]

_BYTES = 16
_SECONDS = 5.0
_TABLE = "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, hash BLOB)"


def content_hashes(paths: Iterable[str], folder: Path, workers: int) -> dict[str, bytes | Failed[str]]:
    """The hash of each file's content, or why it cannot be read.

    Args:
        paths: files.
        folder: where the hashes are remembered.
        workers: how many files are read at a time.
    """
    hashes: dict[str, bytes | Failed[str]] = {}
    with closing(open_database(folder / "files.sqlite", _TABLE)) as database:
        # Asked before a file is read, so that one that changes meanwhile is read again the next time.
        stamps = {path: _stamp(path) for path in dict.fromkeys(paths)}
        absolute = {path: os.path.abspath(path) for path in stamps}
        query = "SELECT path, size, mtime_ns, hash FROM files WHERE path IN"
        known = {path: (stamp, digest) for path, *stamp, digest in select(database, query, absolute.values())}
        for path, stamp in stamps.items():
            remembered, digest = known.get(absolute[path], ((), b""))
            if stamp == tuple(remembered):
                hashes[path] = digest
        unknown = [path for path in stamps if path not in hashes]
        fresh: list[tuple[str, int, int, bytes]] = []
        since = time.monotonic()
        for path, outcome in zip(unknown, process(unknown, _digest, workers=workers), strict=True):
            hashes[path] = outcome
            stamp = stamps[path]
            if not isinstance(outcome, Failed) and stamp is not None:
                fresh.append((absolute[path], *stamp, outcome))
            if time.monotonic() - since > _SECONDS:
                _remember(database, fresh)
                fresh, since = [], time.monotonic()
        _remember(database, fresh)
    return {path: hashes[path] for path in stamps}


def _remember(database: sqlite3.Connection, files: list[tuple[str, int, int, bytes]]) -> None:
    if files:
        with transaction(database):
            database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", files)


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _digest(path: str, _: AvProcess) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_BYTES)).digest()
    except FileNotFoundError as error:
        raise AudioError(path, "no such file: check the name, and the folder it is relative to") from error
