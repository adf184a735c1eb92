"""Indexing of folders whenever their files change, by polling: works on every file system, network drives included.

A change counts once it has lasted for one interval: a file that is still being written is not indexed half.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from threading import Event

from soundloom.errors import InvalidArgumentError, SoundloomError
from soundloom.library.indexing.add_report import AddReport
from soundloom.library.indexing.scan import files_below, roots_of
from soundloom.library.library import Library
from soundloom.library.storage.exclusions import read_exclusions
from soundloom.remote import is_there

__all__ = ["watch_folders"]


def watch_folders(
    library: Library,
    sounds: Iterable[str | os.PathLike[str]] | None = None,
    *,
    interval: float = 10.0,
    workers: int | None = None,
    indexed: Callable[[AddReport], None] = lambda _report: None,
    failed: Callable[[SoundloomError], None] = lambda _error: None,
    stop: Event | None = None,
) -> None:
    """Bring a library up to date now, and after every change of its files until it is stopped.

    Args:
        library: the library.
        sounds: folders and files; the library's roots if not given.
        interval: seconds between two looks.
        workers: as for `Library.add`.
        indexed: called after every update.
        failed: called where an update is not possible now, such as while another process adds; it is tried again.
        stop: ends the watch when it is set.

    Raises:
        InvalidArgumentError: the interval is not above 0.
        LibraryError: a folder does not exist when the watch begins.
    """
    if not interval > 0:
        raise InvalidArgumentError(f"the seconds between two looks must be above 0, got {interval}")
    stop = stop or Event()
    named = None if sounds is None else roots_of(sounds)
    done: frozenset[tuple[str, int, int]] | None = None
    before = _files(library, named)
    while not stop.is_set():
        files = before if done is None else _files(library, named)
        if files != done and files == before:
            try:
                indexed(library.add(named, workers=workers))
                done = files
            except SoundloomError as error:
                failed(error)
        before = files
        stop.wait(interval)


def _files(library: Library, named: Iterable[str] | None) -> frozenset[tuple[str, int, int]]:
    """Path, size and time of every file that would be indexed."""
    roots = library.roots.searched(list(named)) if named is not None else library.roots.present()[0]
    present = [root for root in roots if is_there(root)]
    if not present:
        return frozenset()
    exclude, forgotten = read_exclusions(library.folder), library.roots.forgotten()
    found = files_below(present, {}, exclude=exclude, forgotten=forgotten)
    return frozenset((file.path, file.size, file.mtime_ns) for file in found)
