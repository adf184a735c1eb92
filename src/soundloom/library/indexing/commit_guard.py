"""Guard of commits: before and after each, the library must still be in its folder, and be the same one.

A library may be moved away, and another one put in its place, while files are added to it for hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soundloom.errors import LibraryError
from soundloom.library.storage.library_lock import require_library
from soundloom.library.storage.root_registry import RootRegistry

__all__ = ["CommitGuard"]


class CommitGuard:
    """Remembers which library is in a folder, and checks it around every commit.

    Args:
        folder: the library's.
        registry: its roots, which hold the library's id.
    """

    def __init__(self, folder: Path, registry: RootRegistry) -> None:
        self._folder = folder
        self._registry = registry
        self._id = registry.library_id()

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Surrounds a commit.

        Raises:
            LibraryAbsentError: the library is no longer there.
            LibraryError: another library is in its place.
        """
        self._check()
        yield
        self._check()

    def _check(self) -> None:
        require_library(self._folder)
        if self._registry.library_id() != self._id:
            raise LibraryError(f"{str(self._folder)!r} is another library now: index again where the first one is")
