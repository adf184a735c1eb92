"""Patterns of files that are left out: of the caller, and of files ``.soundloomignore``, in the syntax of gitignore.

A pattern is of the folder that it is given for: ``*.tmp.wav``, ``/outtakes/``, ``old/**``, ``!old/keep.wav``. A file
``.soundloomignore`` counts for its own folder and all below; of several patterns that fit the last one counts, those of
inner folders after those of outer ones. What lies in a folder that is left out is left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from soundloom.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["IGNORE_FILE", "IgnoreRules"]

IGNORE_FILE = ".soundloomignore"


class IgnoreRules:
    """The patterns that count in one folder.

    Args:
        specs: folders and their patterns, the outermost first.
    """

    def __init__(self, specs: Sequence[tuple[str, GitIgnoreSpec]] = ()) -> None:
        self._specs = tuple(specs)

    def with_patterns(self, folder: str, lines: Sequence[str]) -> IgnoreRules:
        """These patterns, and after them those of a folder.

        Raises:
            InvalidArgumentError: a line is no pattern.
        """
        if not lines:
            return self
        from pathspec import GitIgnoreSpec

        try:
            return IgnoreRules([*self._specs, (folder, GitIgnoreSpec.from_lines(lines))])
        except ValueError as error:
            raise InvalidArgumentError(f"the patterns of files to leave out of {folder!r} are none: {error}") from None

    def inside(self, folder: str, entries: Sequence[str]) -> IgnoreRules:
        """The patterns that count in a folder.

        Args:
            folder: the folder.
            entries: the names in it.
        """
        if IGNORE_FILE not in entries:
            return self
        with open(os.path.join(folder, IGNORE_FILE), encoding="utf-8", errors="surrogateescape") as file:
            return self.with_patterns(folder, file.read().splitlines())

    def exclude(self, path: str, *, is_folder: bool) -> bool:
        """Whether a file or folder is left out."""
        excluded = False
        for folder, spec in self._specs:
            name = os.path.relpath(path, folder) + ("/" if is_folder else "")
            fits = spec.check_file(name).include
            excluded = excluded if fits is None else fits
        return excluded
