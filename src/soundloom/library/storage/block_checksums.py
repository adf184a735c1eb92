"""Block-wise CRC-32 checksums of files: damage is found where a file is read, at the cost of the blocks that are read.

A cache of a gigabyte need not be read whole to be trusted: a search touches a few of its blocks, and only those are
compared with their checksums, each once per process. Blocks are read with ``pread`` before their memory map is used, so
a disk that cannot read them raises an error instead of SIGBUS.

CRC-32 finds every change of up to 32 adjacent bits and all but one in four thousand million others. When not: against
somebody who changes a file on purpose.
"""

from __future__ import annotations

import io
import mmap
import os
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import CacheDamagedError

__all__ = ["BLOCK_BYTES", "CheckedFile", "FileChecksum"]

BLOCK_BYTES = 64 * 2**10
"""Size of a block: small enough that a search reads little besides what it needs."""

_READ_AT_ONCE = 16
"""Blocks, at most."""
_PARALLEL_BYTES = 2**24
"""From this many bytes on, several threads compute checksums; zlib releases the interpreter's lock."""


@dataclass(frozen=True, eq=False)
class FileChecksum:
    """Length and block checksums of a file.

    Attributes:
        bytes: length of the file.
        blocks: CRC-32 of every block, the last one shorter.
        block_bytes: size of a block, a divisor of `BLOCK_BYTES`.
    """

    bytes: int
    blocks: NDArray[np.uint32]
    block_bytes: int = BLOCK_BYTES

    @classmethod
    def of(cls, file: Path, block_bytes: int = BLOCK_BYTES) -> FileChecksum:
        """Read a file and compute its checksums.

        Args:
            file: its path.
            block_bytes: small for a file of which a search reads a few rows here and there.

        Raises:
            OSError: it cannot be read.
        """
        sums = []
        with open(file, "rb", buffering=0) as stream:
            while data := _read_full(stream, BLOCK_BYTES):
                view = memoryview(data)
                sums += [zlib.crc32(view[first : first + block_bytes]) for first in range(0, len(data), block_bytes)]
            return cls(stream.tell(), np.array(sums, np.uint32), block_bytes)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FileChecksum:
        """The inverse of `to_json`.

        Raises:
            CacheDamagedError, ValueError, KeyError, TypeError: the data are not what `to_json` gives.
        """
        length, blocks = data["bytes"], np.frombuffer(bytes.fromhex(data["crc32"]), ">u4").astype(np.uint32)
        block_bytes = data.get("block", BLOCK_BYTES)
        if not isinstance(length, int) or len(blocks) != -(-length // block_bytes):
            raise CacheDamagedError(f"{len(blocks)} checksums for {length} bytes")
        return cls(length, blocks, block_bytes)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"bytes": self.bytes, "crc32": self.blocks.astype(">u4").tobytes().hex()}
        return data if self.block_bytes == BLOCK_BYTES else data | {"block": self.block_bytes}


class CheckedFile:
    """A file open for reading whose blocks are compared with their checksums before their first use.

    Safe to share between threads. The file stays readable when it is replaced or deleted on disk.

    Args:
        file: its path.
        expected: its checksums.

    Raises:
        CacheDamagedError: the file has another length.
        OSError: it cannot be opened.
    """

    def __init__(self, file: Path, expected: FileChecksum) -> None:
        self.path = file
        self._expected = expected
        self._descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self._intact = np.zeros(len(expected.blocks), np.bool_)
        length = os.fstat(self._descriptor).st_size
        if length != expected.bytes:
            raise CacheDamagedError(f"{str(file)!r} has {length:,} bytes instead of {expected.bytes:,}")

    def check(self, first: int, stop: int) -> None:
        """Compare the blocks that hold bytes ``first`` to ``stop``.

        Raises:
            CacheDamagedError: a block differs from what was written.
        """
        self.check_ranges(np.array([first]), np.array([stop]))

    def check_all(self) -> None:
        """Compare every block; see `check`."""
        self.check(0, self._expected.bytes)

    def check_ranges(self, first: NDArray[np.int64], stop: NDArray[np.int64]) -> None:
        """Compare the blocks that hold any of several ranges of bytes; see `check`."""
        if self._intact.all():
            return
        some = stop > first
        begin, end = first[some] // self._expected.block_bytes, -(-stop[some] // self._expected.block_bytes)
        if len(begin) and (end - begin).max() <= 2:
            blocks = np.unique(np.concatenate([begin, end - 1]))
        else:
            wanted = np.zeros(len(self._intact) + 1, np.int64)
            np.add.at(wanted, begin, 1)
            np.add.at(wanted, end, -1)
            blocks = np.flatnonzero(np.cumsum(wanted[:-1]) > 0)
        blocks = blocks[~self._intact[blocks]]
        if len(blocks) * self._expected.block_bytes < _PARALLEL_BYTES:
            self._announce(blocks)
            self._check_blocks(blocks)
            return
        shares = np.array_split(blocks, min(4, os.cpu_count() or 1))
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(self._check_blocks, shares))

    def buffer(self) -> mmap.mmap:
        """The file's bytes as a read-only memory map. What is read from it must have been checked before."""
        return mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)

    def content(self) -> bytes:
        """The whole content, checked."""
        self.check_all()
        return os.pread(self._descriptor, self._expected.bytes, 0) if self._expected.bytes else b""

    def is_at(self, path: Path) -> bool:
        """Whether a path names this very file, and not one that has replaced it."""
        return os.path.samestat(os.fstat(self._descriptor), os.stat(path))

    def _announce(self, blocks: NDArray[np.int64]) -> None:
        """Announce to the system which blocks are read next, so that a disk fetches several at a time."""
        if len(blocks) > 1 and hasattr(os, "posix_fadvise"):
            size = self._expected.block_bytes
            for block in blocks.tolist():
                os.posix_fadvise(self._descriptor, block * size, size, os.POSIX_FADV_WILLNEED)

    def _check_blocks(self, blocks: NDArray[np.int64]) -> None:
        size, numbers, expected = self._expected.block_bytes, blocks.tolist(), self._expected.blocks[blocks].tolist()
        # Neighbouring blocks are read at once.
        begins = np.flatnonzero((np.diff(blocks, prepend=-2) > 1) | (np.arange(len(blocks)) % _READ_AT_ONCE == 0))
        for begin, end in pairwise([*begins.tolist(), len(blocks)]):
            content = memoryview(os.pread(self._descriptor, (end - begin) * size, numbers[begin] * size))
            for place in range(begin, end):
                if zlib.crc32(content[(place - begin) * size : (place - begin + 1) * size]) != expected[place]:
                    first = numbers[place] * size
                    raise CacheDamagedError(f"{str(self.path)!r} is damaged at byte {first:,} or after it")
        self._intact[blocks] = True


def _read_full(stream: io.FileIO, size: int) -> bytes:
    """Up to ``size`` bytes; fewer only at the end of the file."""
    data = stream.read(size) or b""
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data
