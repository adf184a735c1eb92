"""Locks between processes that work on one library, and the check that the library is still in its folder.

A lock is a file in the library's folder. Making one would make the folder anew where a library was moved away, so
every lock first looks for the library itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from soundloom.errors import LibraryAbsentError

__all__ = ["library_lock", "require_library"]


def require_library(folder: Path) -> None:
    """Check that a library that was opened is still there.

    Raises:
        LibraryAbsentError: its folder was moved or deleted.
    """
    if not (folder / "library.json").is_file():
        raise LibraryAbsentError(
            f"the library {str(folder)!r} is no longer there: it was moved or deleted while it was in use. Open it "
            "where it is now; what was finished before is kept"
        )


@contextmanager
def library_lock(folder: Path, name: str, timeout: float = -1) -> Iterator[None]:
    """Hold a lock of a library.

    Args:
        folder: the library's.
        name: the lock's file.
        timeout: seconds to wait for another process; below 0: as long as it takes.

    Raises:
        LibraryAbsentError: the library is no longer there.
        filelock.Timeout: another process holds the lock.
    """
    require_library(folder)
    with FileLock(folder / name, timeout=timeout):
        yield
