"""What is new: the files on disk against the files a library knows.

A file is known by its path, size and modification time; only where these differ is its content hashed.
The hash then tells a changed file from one that was merely touched, and a moved file, whose embeddings can
be kept, from a new one.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from soundloom.library.storage.store import FileState

__all__ = ["Changes", "Found", "content_hash", "is_below"]


@dataclass(frozen=True)
class Found:
    """A file on disk: its path, size in bytes and modification time."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Found:
        """The file at a path, from what the file system says of it."""
        return cls(str(path), status.st_size, status.st_mtime_ns)

    def state(self, digest: str) -> FileState:
        """The file with its content's hash."""
        return FileState(self.path, self.size, self.mtime_ns, digest)


class Changes:
    """How the disk differs from the library.

    Args:
        found: the files on disk below the roots.
        known: the library's files, by path.
        roots: the folders and files that were searched; known files elsewhere are left alone.

    Attributes:
        unchanged: how many files are as the library knows them.
        candidates: files whose path is new or whose size or time differ: to be hashed.
        missing: known files below the roots that are gone, by path.
    """

    def __init__(self, found: Iterable[Found], known: Mapping[str, FileState], roots: Sequence[Path]) -> None:
        self.unchanged = 0
        self.candidates: list[Found] = []
        self._known = known
        self._lock = Lock()
        present = set()
        for file in found:
            present.add(file.path)
            state = known.get(file.path)
            if state is not None and (state.size, state.mtime_ns) == (file.size, file.mtime_ns):
                self.unchanged += 1
            else:
                self.candidates.append(file)
        gone = sorted(path for path in known if path not in present and is_below(path, roots))
        self.missing = {path: known[path] for path in gone}
        self._missing_by_hash: dict[str, list[str]] = defaultdict(list)
        for path, state in self.missing.items():
            self._missing_by_hash[state.hash].append(path)

    def recognise(self, state: FileState) -> str | None:
        """The path under which the library holds this file's content already, or None.

        That is its own path when it was merely touched, and a missing file's when it moved; a missing
        file can be claimed once. Several workers may ask at the same time.
        """
        known = self._known.get(state.path)
        if known is not None:
            return state.path if known.hash == state.hash else None
        with self._lock:
            waiting = self._missing_by_hash.get(state.hash)
            if not waiting:
                return None
            path = waiting.pop(0)
            del self.missing[path]
            return path


def is_below(path: str, roots: Iterable[Path]) -> bool:
    """Whether a path is one of the roots or lies in one of them."""
    return any(path == str(root) or path.startswith(str(root).rstrip(os.sep) + os.sep) for root in roots)


def content_hash(path: str | os.PathLike[str]) -> str:
    """BLAKE2b of a file's bytes, 128 bits in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
