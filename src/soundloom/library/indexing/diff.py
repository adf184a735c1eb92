"""Difference between the files on disk and the files of a library, by path, size, time and content hash.

A file with the size and modification time that the library knows is unchanged; every other file is a candidate. Of
the candidates those are hashed first whose size the library knows from some file: they may hold a content that was
embedded already, under their own path or another (`soundloom.library.indexing.moves`). The rest is new content.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from soundloom.file_names import os_path, text_path
from soundloom.library.storage.root_paths import is_below
from soundloom.library.storage.table_schema import FileState, content_hash
from soundloom.remote import file_status

__all__ = ["FileOnDisk", "LibraryDiff", "are_copies", "hash_known_sizes"]


@dataclass(frozen=True, slots=True)
class FileOnDisk:
    """A file on disk or at an address: its location (`soundloom.remote.locations`), bytes and modification time."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileOnDisk:
        """The file at a path or an address, as it is now; a path as the system has it, or as text.

        Raises:
            OSError: it cannot be looked at.
        """
        place = os_path(path)
        status = file_status(place)
        return cls(text_path(place), status.size, status.mtime_ns)

    def state(self, digest: str) -> FileState:
        """The file with the hash of its content."""
        return FileState(self.path, self.size, self.mtime_ns, digest)


class LibraryDiff:
    """The files below some roots, compared with the files of a library.

    Args:
        found: the files on disk below the roots.
        known: the library's files, by path.
        roots: the folders and files that were searched; known files elsewhere are ignored.
        unreadable: folders and files below the roots that could not be read; what they hold is not missing.
        rehash: take every file for a candidate, whatever its size and time.

    Attributes:
        present: the paths of the files found.
        candidates: files whose path is new or whose size or time differ.
        missing: known files below the roots that were not found, by path.
    """

    def __init__(
        self,
        found: Iterable[FileOnDisk],
        known: Mapping[str, FileState],
        roots: Collection[str],
        unreadable: Collection[str] = (),
        *,
        rehash: bool = False,
    ) -> None:
        self.present: set[str] = set()
        self.candidates: list[FileOnDisk] = []
        for file in found:
            self.present.add(file.path)
            if rehash or not _unchanged(file, known):
                self.candidates.append(file)
        # `unreadable` is read after the search: the search fills it.
        hidden = list(unreadable)
        self.missing = {
            path: known[path]
            for path in sorted(known)
            if path not in self.present and is_below(path, roots) and not is_below(path, hidden)
        }

    @property
    def unchanged(self) -> int:
        """How many of the files found are as the library knows them."""
        return len(self.present) - len(self.candidates)

    def refresh(self, known: Mapping[str, FileState]) -> None:
        """Compare the candidates once more, after paths of the library have changed."""
        self.candidates = [file for file in self.candidates if not _unchanged(file, known)]


def hash_known_sizes(
    candidates: Iterable[FileOnDisk], known: Mapping[str, FileState], workers: int
) -> Generator[tuple[FileOnDisk, str | None], None, None]:
    """Those candidates whose size is the size of some known file, with their content hashes; None if unreadable.

    Args:
        candidates: files on disk.
        known: the library's files.
        workers: how many files to read at a time.
    """
    sizes = {state.size for state in known.values()}
    possible = [file for file in candidates if file.size in sizes]
    with ThreadPoolExecutor(workers, thread_name_prefix="soundloom-hash") as pool:
        try:
            yield from zip(possible, pool.map(_hash_if_readable, possible), strict=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def are_copies(paths: Sequence[str]) -> bool:
    """Whether files are the same byte for byte; only files of one size are read."""
    try:
        return len({FileOnDisk.of(path).size for path in paths}) == 1 and len(set(map(content_hash, paths))) == 1
    except OSError:
        return False


def _unchanged(file: FileOnDisk, known: Mapping[str, FileState]) -> bool:
    state = known.get(file.path)
    return state is not None and (state.size, state.mtime_ns) == (file.size, file.mtime_ns)


def _hash_if_readable(file: FileOnDisk) -> str | None:
    try:
        return content_hash(file.path)
    except OSError:
        return None
