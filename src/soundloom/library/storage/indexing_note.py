"""Note of an indexing or a merge that has not come to its end, in ``indexing.json`` beside a library's rows.

    [{"roots": ["/sounds"], "files": 120, "since": "2026-05-01T17:05:00+00:00", "tags": false, "merging": []}]

A run notes the roots that it indexes, or the libraries that it merges, how many files are left once that is known, and
when it last committed some; at its end it takes its note away. A note that is there while no process adds files is of a
run that was killed or that failed. A run below other roots leaves it, and so does one of the other kind. That of an
indexing counts as long as one of its roots is the library's.
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
from soundloom.library.storage.store_folders import upgraded_store
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
    merging: tuple[str, ...] = ()


class IndexingNote:
    """The note of one run. The caller holds the lock of adding whenever it is written.

    Args:
        folder: the library's.
        roots: what is indexed.
        tags: whether the files get tags from a table.
        merging: instead of roots, the libraries that are merged into this one, the first of them now.
    """

    def __init__(
        self, folder: Path, roots: Sequence[str] = (), *, tags: bool = False, merging: Sequence[str] = ()
    ) -> None:
        self._file = folder / INDEXING_FILE
        self._run = _Run(tuple(roots), _now(), tags=tags, merging=tuple(merging))

    @contextmanager
    def kept(self) -> Iterator[IndexingNote]:
        """Surrounds the run; an error leaves the note there.

        Raises:
            ResourceError: it cannot be written.
        """
        self.begin()
        yield self
        self.end()

    def begin(self) -> None:
        """Note that the run has begun; raises as `kept`."""
        self._write([self._run])

    def left(self, files: int) -> None:
        """Note that so many files are left; what was done before is committed."""
        self._run = replace(self._run, files=files, since=_now())
        self._write([self._run])

    def end(self) -> None:
        """Note that the run is done; of a merge, that the first of its libraries is."""
        rest = self._run.merging[1:]
        self._write([replace(self._run, files=None, merging=rest)] if rest else [])

    def _write(self, mine: Sequence[_Run]) -> None:
        runs = [*(run for run in _runs(self._file.parent) if not self._covers(run)), *mine]
        with one_line_errors(self._file.parent):
            if runs:
                write_atomically(self._file, json.dumps([asdict(run) for run in runs]))
            else:
                self._file.unlink(missing_ok=True)

    def _covers(self, run: _Run) -> bool:
        """Whether this run does what a noted one has left."""
        if run.merging or self._run.merging:
            return not set(run.merging).isdisjoint(self._run.merging)
        indexed = RootLookup(self._run.roots)
        return all(indexed.root_of(root) is not None for root in run.roots)


def unfinished_indexing(folder: Path) -> str:
    """What is to be known of a library that is not indexed, merged or upgraded to the end, in a line; empty if it is.

    Args:
        folder: the library's.
    """
    runs, upgraded = _runs(folder), upgraded_store(folder)
    if not runs and upgraded is None:
        return ""
    if AddLock(folder).is_held():
        done = "upgraded" if not runs else "merged" if any(run.merging for run in runs) else "indexed"
        return f"the library is being {done} now{_left(runs)}"
    merges, others = [run for run in runs if run.merging], [run for run in runs if not run.merging]
    library, said = quote(shown(folder)), []
    if others:
        tags = " (give --tags to it once more)" if any(run.tags for run in others) else ""
        said.append(
            f"the library is not indexed to the end: it was interrupted at {_last(others)} UTC{_left(others)}; to go "
            f"on: soundloom index -l {library}{tags}"
        )
    if merges:
        names = " ".join(quote(name) for run in merges for name in run.merging)
        said.append(
            f"the library is not merged to the end: that was begun or interrupted at {_last(merges)} "
            f"UTC{_left(merges)}; to go on: soundloom merge {names} -l {library}; to leave it so: delete "
            f"{quote(str(folder / INDEXING_FILE))}"
        )
    if upgraded is not None:
        said.append(
            "the library is not upgraded to the end, and searched as it was before: to go on: soundloom index "
            f"--upgrade -l {library} (with -m, if it was to another model); to leave it so: delete "
            f"{quote(str(upgraded))}"
        )
    return "; ".join(said)


def _left(runs: Sequence[_Run]) -> str:
    """How many files some runs have left, as a message goes on with it."""
    files = sum(run.files or 0 for run in runs)
    return f", {counted(files, 'file')} left" if files else ""


def _last(runs: Sequence[_Run]) -> str:
    """When the last of some runs committed something."""
    return max(run.since for run in runs)[:16].replace("T", " ")


def _runs(folder: Path) -> list[_Run]:
    """The runs that are noted, those of indexing whose roots are the library's; a damaged note stops no search."""
    try:
        text = (folder / INDEXING_FILE).read_text(encoding="utf-8")
        runs = [
            _Run(**{**run, "roots": tuple(run["roots"]), "merging": tuple(run.get("merging", ()))})
            for run in json.loads(text)
        ]
        roots = RootLookup(RootRegistry(folder).paths())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, LibraryError):
        return []
    return [run for run in runs if run.merging or any(roots.root_of(root) is not None for root in run.roots)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
