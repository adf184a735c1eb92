"""Paths of roots: which root a path lies in, which roots lie in others, which are absent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath

from soundloom.file_names import os_path

__all__ = ["RootLookup", "is_below", "is_empty", "outermost", "parents_of", "totals_by_root"]


class RootLookup:
    """Finds the root of a path, in time that does not grow with the number of roots."""

    def __init__(self, roots: Iterable[str | os.PathLike[str]]) -> None:
        self._roots = {os.fspath(root).rstrip(os.sep) or os.sep for root in roots}

    def root_of(self, path: str) -> str | None:
        """The root that a path is or lies in; None if there is none."""
        while path not in self._roots:
            parent = os.path.dirname(path)
            if parent == path:
                return None
            path = parent
        return path


def is_below(path: str, roots: Iterable[Path]) -> bool:
    """Whether a path is one of the roots or lies in one of them."""
    return any(path == str(root) or path.startswith(str(root).rstrip(os.sep) + os.sep) for root in roots)


def is_empty(root: str | os.PathLike[str]) -> bool:
    """Whether a root is not there, cannot be read, or is a folder without any entry, as an unmounted drive is."""
    try:
        if not os.path.isdir(root):
            return not os.path.exists(os_path(root))
        with os.scandir(os_path(root)) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def outermost(paths: Iterable[PurePath]) -> list[Path]:
    """Paths without those that lie in another of them, sorted."""
    every = sorted({Path(path) for path in paths}, key=lambda path: path.parts)
    found: list[Path] = []
    for path in every:
        # In the order of their components a folder comes right before all that lies in it.
        if not (found and is_below(str(path), [found[-1]])):
            found.append(path)
    return found


def parents_of(files: Iterable[str]) -> list[Path]:
    """The outermost of the folders that files lie in: the best guess where no root is registered."""
    return outermost({PurePath(os.path.dirname(file)) for file in files})


def totals_by_root(
    roots: Iterable[str], durations: Mapping[str, float], of: Callable[[str], str | None]
) -> dict[str, tuple[int, float]]:
    """Number of files and seconds of every root."""
    totals = dict.fromkeys(roots, (0, 0.0))
    for path, seconds in durations.items():
        root = of(path)
        if root in totals:
            files, before = totals[root]
            totals[root] = files + 1, before + seconds
    return totals
