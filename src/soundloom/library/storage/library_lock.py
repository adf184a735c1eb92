"""Locks between processes that work on one library, and the check that the library is still in its folder.

A lock is a file in the library's folder. Making one would make the folder anew where a library was moved away, so
every lock first looks for the library itself.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from soundloom.errors import LibraryAbsentError, LibraryError
from soundloom.library.library_files import ADD_LOCK, INDEX_LOCK, TAGS_LOCK, UNFINISHED_INDEX_FOLDER, is_library
from soundloom.library.mirror import changing
from soundloom.library.storage.store_folders import remove_replaced, store_folder

__all__ = ["AddLock", "library_lock", "remove_unfinished", "require_library"]

_PROBE_SECONDS = 1.0
"""Seconds to wait for add.lock: a search takes it briefly to test whether files are being added."""
_ABANDONED_SECONDS = 60.0
"""Age from which an unfinished small file is one of a process that was killed; writing one takes milliseconds."""


def require_library(folder: Path) -> None:
    """Check that a library that was opened is still there.

    Raises:
        LibraryAbsentError: its folder was moved or deleted.
    """
    if not (is_library(folder) and store_folder(folder).is_dir()):
        raise LibraryAbsentError(
            f"the library {str(folder)!r} is no longer there: it was moved or deleted while it was in use, or its "
            "drive is not connected: put it back, or open it where it is now; what was finished before is kept"
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
    with changing(folder) if name == TAGS_LOCK else nullcontext(), FileLock(folder / name, timeout=timeout):
        yield


class AddLock:
    """The lock that one process at a time holds while it adds files to a library.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            LibraryError: another process holds it, or the library is no longer there.
        """
        try:
            with changing(self._folder), library_lock(self._folder, ADD_LOCK, timeout=_PROBE_SECONDS):
                remove_unfinished(self._folder)
                yield
        except Timeout:
            raise LibraryError(f"another process is adding to {str(self._folder)!r}: wait until it is done") from None

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """Hold the lock if no process holds it; gives whether it is held now."""
        try:
            with library_lock(self._folder, ADD_LOCK, timeout=0):
                yield True
        except Timeout:
            yield False

    def is_held(self) -> bool:
        """Whether some process is adding files."""
        try:
            with library_lock(self._folder, ADD_LOCK, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            # A process that cannot make the lock cannot test it; nobody adds files to a folder that cannot be written.
            return False


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left: ``*.writing`` files, an unfinished search index, a store that was replaced.

    Files that somebody is writing now stay: small ones by their age, an index because its lock is held. Errors are
    ignored, because nobody reads these files.

    Args:
        folder: the library's.
    """
    oldest = time.time() - _ABANDONED_SECONDS
    with suppress(OSError):
        for file in [*folder.glob("*.writing"), *folder.glob("*/*.writing")]:
            with suppress(OSError):
                if file.stat().st_mtime < oldest:
                    file.unlink()
    remove_replaced(folder)
    unfinished = folder / UNFINISHED_INDEX_FOLDER
    if unfinished.exists():
        with suppress(OSError, Timeout), library_lock(folder, INDEX_LOCK, timeout=0):
            shutil.rmtree(unfinished, ignore_errors=True)
