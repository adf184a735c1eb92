"""LRU cache on disk of files made from sounds (thumbnails, outlines, transcoded files), within a limit of bytes.

An entry is a file named by the hash of everything that decides its content, so an entry is never stale, and by its
length and CRC-32, so a damaged one is noticed when it is first opened by a process, and made anew. The entry used
longest ago is deleted first. Several servers may share a folder: each counts what it adds, and scans the folder
when it has added a sixteenth of the limit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

__all__ = ["FileCache"]

_log = logging.getLogger(__name__)

_SHARE = 16
_CHUNK_BYTES = 2**20
_REMEMBERED = 2**16
"""Entries of which a process remembers that they are intact."""


class FileCache:
    """Files by key, made when they are first asked for. Safe to share between threads.

    Args:
        folder: where they lie; made if absent.
        bound: bytes that they may take together.
    """

    def __init__(self, folder: Path, bound: int) -> None:
        self.folder = folder
        self._bound = bound
        self._lock = threading.Lock()
        self._making: dict[str, tuple[threading.Lock, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._added = bound
        self._intact: dict[str, tuple[int, int, int]] = {}

    def open(self, key: object, make: Callable[[str], object]) -> BinaryIO:
        """The file of a key, open for reading, so that it stays whole while others are thrown away.

        Args:
            key: plain data that decides the content.
            make: writes the content to the path it is given; called once, however many ask at the same time.
        """
        name = hashlib.blake2b(json.dumps(key).encode(), digest_size=20).hexdigest()
        if (file := self._kept(name)) is not None:
            return file
        with self._alone(name):
            if (file := self._kept(name)) is not None:
                return file
            folder = self.folder / name[:2]
            folder.mkdir(exist_ok=True)
            with NamedTemporaryFile(dir=self.folder, suffix=".making", delete=False) as unfinished:
                pass
            try:
                make(unfinished.name)
                path = folder / f"{name}.{_length_and_checksum(unfinished.name)}"
                os.replace(unfinished.name, path)
            except BaseException:
                os.unlink(unfinished.name)
                raise
            file = self._used(path)
        self._count(os.fstat(file.fileno()).st_size)
        return file

    def _kept(self, name: str) -> BinaryIO | None:
        """The entry of a key, if there is an intact one; a damaged one is deleted."""
        with suppress(FileNotFoundError):
            for entry in os.listdir(self.folder / name[:2]):
                if not entry.startswith(f"{name}."):
                    continue
                path = self.folder / name[:2] / entry
                file = self._used(path)
                if self._is_intact(file, entry):
                    return file
                file.close()
                _log.warning("%s is damaged: it is made anew", path)
                path.unlink(missing_ok=True)
        return None

    def _is_intact(self, file: BinaryIO, entry: str) -> bool:
        """Whether an entry is as its name says; it is read when this process sees it first or it has been touched."""
        status = os.fstat(file.fileno())
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if self._intact.get(entry) == stamp:
            return True
        if entry.partition(".")[2] != _length_and_checksum(file.name):
            return False
        if len(self._intact) >= _REMEMBERED:
            self._intact.clear()
        self._intact[entry] = stamp
        return True

    def _used(self, path: Path) -> BinaryIO:
        file = open(path, "rb")  # noqa: SIM115 (the caller's to close)
        with suppress(OSError):
            # The time of access alone: that of modification is part of the file's ETag.
            os.utime(path, ns=(time.time_ns(), os.fstat(file.fileno()).st_mtime_ns))
        return file

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Hold the lock of one key; locks exist only while somebody holds or awaits them."""
        with self._lock:
            lock, holders = self._making.get(name, (threading.Lock(), 0))
            self._making[name] = lock, holders + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, holders = self._making.pop(name)
                if holders > 1:
                    self._making[name] = lock, holders - 1

    def _count(self, size: int) -> None:
        """Note what was added, and make room when that is much."""
        with self._lock:
            self._added += size
            if self._added < self._bound // _SHARE:
                return
            self._added = 0
        entries = []
        for path in self.folder.glob("??/*"):
            with suppress(OSError):
                status = path.stat()
                entries.append((status.st_atime_ns, status.st_size, path))
        # As much room as is added until the next look, so that the bound holds in between.
        excess = sum(size for _, size, _ in entries) - (self._bound - self._bound // _SHARE)
        for _, entry, path in sorted(entries):
            if excess <= 0:
                break
            with suppress(OSError):
                path.unlink()
                excess -= entry


def _length_and_checksum(path: str) -> str:
    """The length of a file in bytes and its CRC-32, as the names of entries end."""
    length, checksum = 0, 0
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            length, checksum = length + len(chunk), zlib.crc32(chunk, checksum)
    return f"{length}.{checksum:08x}"
