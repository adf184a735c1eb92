"""Locations of roots as text: which root a file lies in, which roots lie in others, which are absent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from soundloom.file_names import os_path
from soundloom.remote import is_address
from soundloom.remote.locations import inside, separator_of

__all__ = [
    "RootLookup",
    "by_components",
    "is_below",
    "is_empty",
    "outermost",
    "parents_of",
    "renamed",
    "totals_by_root",
]


class RootLookup:
    """Finds the root of a path, in time that does not grow with the number of roots."""

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = {root.rstrip(os.sep) or os.sep for root in roots}

    def root_of(self, path: str) -> str | None:
        """The root that a path is or lies in; None if there is none."""
        while path not in self._roots:
            parent = os.path.dirname(path)
            if parent == path:
                return None
            path = parent
        return path


def is_below(path: str, roots: Iterable[str]) -> bool:
    """Whether a path is one of the roots or lies in one of them."""
    return any(path == root or path.startswith(inside(root)) for root in roots)


def renamed(path: str, old: str, new: str) -> str:
    """A path below a folder as it is below another; any other path as it is."""
    return new + path.removeprefix(old) if is_below(path, [old]) else path


def is_empty(root: str) -> bool:
    """Whether a root is not there, cannot be read, or is a folder without any entry, as an unmounted drive is.

    A root at an address is not: no server is asked whenever a library is opened.
    """
    if is_address(root):
        return False
    name = os_path(root)
    try:
        if not os.path.isdir(name):
            return not os.path.exists(name)
        with os.scandir(name) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def outermost(paths: Iterable[str]) -> list[str]:
    """Paths without those that lie in another of them, sorted."""
    found: list[str] = []
    for path in sorted(set(paths), key=by_components):
        # In the order of their components a folder comes right before all that lies in it.
        if not (found and is_below(path, [found[-1]])):
            found.append(path)
    return found


def by_components(path: str) -> list[str]:
    """A key that sorts a folder right before all that lies in it."""
    return path.rstrip(os.sep).split(separator_of(path))


def parents_of(files: Iterable[str]) -> list[str]:
    """The outermost of the folders that files lie in: the best guess where no root is registered."""
    return outermost({os.path.dirname(file) for file in files})


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
