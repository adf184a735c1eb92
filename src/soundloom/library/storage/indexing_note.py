"""Note of an indexing that has not come to its end, in ``indexing.json`` beside a library's rows.

    [{"roots": ["/sounds"], "files": 120, "since": "2026-05-01T17:05:00+00:00", "tags": false}]

A run notes the roots that it indexes, how many files are left once that is known, and when it last committed some; at
its end it takes its note away. A note that is there while no process adds files is of a run that was killed or that
failed. A run below other roots leaves it, and it counts as long as one of its roots is the library's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from soundloom.atomic_file import write_atomically
from soundloom.counted import counted
from soundloom.errors import LibraryError
from soundloom.library.library_files import INDEXING_FILE
from soundloom.library.mirror import shown
from soundloom.library.storage.library_lock import AddLock
from soundloom.library.storage.root_paths import RootLookup
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.system_errors import one_line_errors

__all__ = ["UNFINISHED", "IndexingNote", "unfinished_indexing"]

UNFINISHED = "unfinished"
"""Code of the notice that a library is not indexed to the end."""


@dataclass(frozen=True)
class _Run:
    """What is noted of a run; see the module."""

    roots: tuple[str, ...]
    since: str
    files: int | None = None
    tags: bool = False


class IndexingNote:
    """The note of one run of indexing. The caller holds the lock of adding.

    Args:
        folder: the library's.
        roots: what is indexed.
        tags: whether the files get tags from a table.
    """

    def __init__(self, folder: Path, roots: Sequence[str], *, tags: bool) -> None:
        self._file = folder / INDEXING_FILE
        indexed = RootLookup(roots)
        self._others = [run for run in _runs(folder) if any(indexed.root_of(root) is None for root in run.roots)]
        self._run = _Run(tuple(roots), _now(), tags=tags)

    @contextmanager
    def kept(self) -> Iterator[IndexingNote]:
        """Surrounds the run; an error leaves the note there.

        Raises:
            ResourceError: it cannot be written.
        """
        self._write([*self._others, self._run])
        yield self
        self._write(self._others)

    def left(self, files: int) -> None:
        """Note that so many files are left; what was done before is committed."""
        self._run = replace(self._run, files=files, since=_now())
        self._write([*self._others, self._run])

    def _write(self, runs: Sequence[_Run]) -> None:
        with one_line_errors(self._file.parent):
            if runs:
                write_atomically(self._file, json.dumps([asdict(run) for run in runs]))
            else:
                self._file.unlink(missing_ok=True)


def unfinished_indexing(folder: Path) -> str:
    """What is to be known of a library that is not indexed to the end, in a line; empty if it is.

    Args:
        folder: the library's.
    """
    runs = _runs(folder)
    if not runs:
        return ""
    known = [run.files for run in runs if run.files is not None]
    files = f", {counted(sum(known), 'file')} left" if sum(known) else ""
    if AddLock(folder).is_held():
        return f"the library is being indexed now{files}"
    since = max(run.since for run in runs)[:16].replace("T", " ")
    tags = " (give --tags to it once more)" if any(run.tags for run in runs) else ""
    return (
        f"the library is not indexed to the end: it was interrupted at {since} UTC{files}; to go on: "
        f"soundloom index -l {quote(shown(folder))}{tags}"
    )


def _runs(folder: Path) -> list[_Run]:
    """The runs that are noted and of which the library still has a root; a damaged note stops nobody from searching."""
    try:
        text = (folder / INDEXING_FILE).read_text(encoding="utf-8")
        runs = [_Run(**{**run, "roots": tuple(run["roots"])}) for run in json.loads(text)]
        roots = RootLookup(RootRegistry(folder).paths())
    except (OSError, ValueError, TypeError, KeyError, LibraryError):
        return []
    return [run for run in runs if any(roots.root_of(root) is not None for root in run.roots)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
