"""The sounds of a library by their names: the end of a path, a file's name, or that without its ending."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.errors import QueryError
from soundloom.term_syntax import ends_as_sound, stem_of

if TYPE_CHECKING:
    import pyarrow as pa

    from soundloom.library.storage.table_schema import Failure

__all__ = ["SoundNames", "failed_file"]

_NEAREST = 3
_ALIKE = 0.6
_FEW_ROWS = 2**16
_MOST_NAMES = 200_000
"""Names among which the nearest are looked for: more take seconds."""


class SoundNames:
    """The names of a library's sounds, read when they are first asked for.

    Args:
        folder: the library's.
        column: gives the path of every segment.
        failures: gives the files that could not be indexed.
    """

    def __init__(
        self, folder: Path, column: Callable[[], pa.ChunkedArray], failures: Callable[[], Iterable[Failure]]
    ) -> None:
        self._folder = folder
        self._read = column
        self._failures = failures
        self._column: pa.ChunkedArray | None = None

    def called(self, name: str) -> list[str]:
        """The paths of the sounds whose whole name is this, with or without its ending, in any case."""
        wanted = name.casefold()
        return [path for path in self._paths(wanted) if wanted in (stem_of(path), os.path.basename(path).casefold())]

    def find(self, name: str, remedy: str, in_folder: str, *, beside: bool = True) -> str:
        """The path of the sound that a name stands for.

        Args:
            name: the end of its path, with or without the file's ending; an absolute one is the whole path.
            remedy: what is offered where there is no such sound, and none of a similar name.
            in_folder: what is offered where it is a folder, for whose name it has a place.
            beside: whether it may be a file of this machine, too, so that those beside it may be named.

        Raises:
            QueryError: none, or several.
        """
        beginning = stem_of(name) if name.isascii() and "\\" not in name else ""
        alike = [path for path in self._paths() if os.path.basename(path).casefold().startswith(beginning)]
        found = _called(alike, name)
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(map(repr, found[:_NEAREST]))
            raise QueryError(
                f"{len(found)} sounds of the library are called {name!r}: write more of the path ({shown})"
            )
        folder = name.strip(os.sep)
        if any(os.path.dirname(path).endswith(os.sep + folder) for path in self._paths(folder)):
            raise QueryError(f"{name!r} is a folder of the library: {in_folder.format(folder)}")
        if failed := failed_file(name, self._failures()):
            raise QueryError(failed)
        near = self._nearest(name, beside=beside)
        file = f"there is no file or folder {name!r}, and no sound of that name" if beside else f"no sound {name!r}"
        raise QueryError(
            f"{file} in {str(self._folder)!r}: "
            + (f"did you mean {' or '.join(map(repr, near))}?" if near else f"check the path; {remedy}")
        )

    def _nearest(self, name: str, *, beside: bool) -> list[str]:
        """The files beside a missing one, if wanted, and the sounds of the library, that are called most like it."""
        folder, wanted = os.path.split(os.path.expanduser(name))
        there: list[str] = []
        if beside:
            with suppress(OSError):
                sounds = [entry for entry in sorted(os.listdir(folder or ".")) if ends_as_sound(entry)]
                there = [os.path.join(os.path.dirname(name), entry) for entry in sounds]
        # By their names without the ending, which most have in common.
        paths = self._paths()[:_MOST_NAMES]
        known = {stem_of(path): path for path in (*map(os.path.basename, paths), *there)}
        stem = stem_of(wanted)
        # Of other lengths none is alike: the ratio is at most 2 min(a, b) / (a + b).
        possible = [one for one in known if 2 * min(len(one), len(stem)) >= _ALIKE * (len(one) + len(stem))]
        return [known[near] for near in difflib.get_close_matches(stem, possible, n=_NEAREST, cutoff=_ALIKE)]

    def _paths(self, part: str = "") -> Sequence[str]:
        """The paths of the files; of many those that hold a text in any case."""
        if self._column is None:
            self._column = self._read()
        if len(self._column) < _FEW_ROWS:  # pyarrow.compute takes as long to import as a start of Python
            return list(dict.fromkeys(self._column.to_pylist()))
        import pyarrow.compute as pc

        some = self._column
        if part.isascii():
            some = some.filter(pc.match_substring(some, part, ignore_case=True))
        return list(some.unique().to_pylist())


def failed_file(name: str, failures: Iterable[Failure]) -> str | None:
    """What is said of a name that stands for a file which could not be indexed; None if it stands for none.

    Args:
        name: the end of its path, with or without the file's ending; an absolute one is the whole path.
        failures: the files that could not be indexed.
    """
    reasons = {failure.path: failure.reason for failure in failures}
    found = _called(reasons, name) if reasons else ()
    if not found:
        return None
    more = f", as could not {len(found) - 1} more of that name" if len(found) > 1 else ""
    return f"{found[0]!r} is not in the library, as it could not be indexed{more}: {reasons[found[0]]}"


def _called(files: Iterable[str], name: str) -> tuple[str, ...]:
    """The files whose paths end with a name, or are it where it is absolute.

    The names of a table may have been written on another machine, so that their first folders need not fit. One that
    somebody types now is of this machine: a mistyped path must not be another sound.
    """
    from soundloom.file_tables import FileMatcher

    found = FileMatcher(files, ()).match(name)
    depth = len(Path(name).parts)
    return tuple(file for file in found if not os.path.isabs(name) or len(Path(file).parts) == depth)
