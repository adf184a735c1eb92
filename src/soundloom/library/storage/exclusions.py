"""Patterns of files that a library leaves out, in ``exclude.txt`` beside its rows: gitignore syntax, a line each.

They are given once (`soundloom index --exclude`) and count from then on; delete a line to take its pattern back. A root
that somebody names is taken whatever leaves it out of the root around it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.atomic_file import write_atomically
from soundloom.errors import LibraryError
from soundloom.file_names import os_path
from soundloom.library.library_files import EXCLUSIONS_FILE
from soundloom.library.mirror import shown
from soundloom.remote import is_address, open_binary
from soundloom.remote.locations import inside, separator_of
from soundloom.system_errors import one_line_errors

if TYPE_CHECKING:
    from soundloom.audio.ignore_rules import IgnoreRules

__all__ = ["Exclusions", "patterns_file", "read_exclusions", "remember_exclusions"]


def read_exclusions(folder: Path) -> list[str]:
    """The patterns of a library.

    Args:
        folder: the library's.

    Raises:
        ResourceError: they cannot be read.
    """
    with one_line_errors(folder):
        try:
            return (folder / EXCLUSIONS_FILE).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []


def patterns_file(folder: Path) -> str:
    """The file of a library's patterns, as messages name it; empty if it has none."""
    return f"{shown(folder)}/{EXCLUSIONS_FILE}" if read_exclusions(folder) else ""


def remember_exclusions(folder: Path, patterns: Iterable[str]) -> list[str]:
    """Add patterns to those of a library. Returns all of them.

    Raises:
        LibraryError: a pattern is empty.
        ResourceError: they cannot be written.
    """
    patterns = list(patterns)
    if not all(pattern.strip() for pattern in patterns):
        raise LibraryError(
            "a pattern of files to leave out is empty: write one, such as *_draft.wav; to take one back, delete its "
            f"line in {folder / EXCLUSIONS_FILE}"
        )
    known = read_exclusions(folder)
    every = list(dict.fromkeys([*known, *patterns]))
    if every != known:
        with one_line_errors(folder):
            write_atomically(folder / EXCLUSIONS_FILE, "\n".join(every) + "\n")
    return every


class Exclusions:
    """Finds what a search of a root passes over: what is hidden, and what patterns leave out.

    Args:
        patterns: those of the library.
        alone: whether nothing else counts: neither files ``.soundloomignore`` nor names that begin with a dot.
    """

    def __init__(self, patterns: Sequence[str], *, alone: bool = False) -> None:
        self._patterns = patterns
        self._alone = alone
        self._rules: dict[tuple[str, str], IgnoreRules] = {}

    def pass_over(self, path: str, root: str) -> bool:
        """Whether a search of a root does not come to a file or folder in it."""
        folder, rules = root, None
        for part in path.removeprefix(inside(root)).split(separator_of(root)):
            rules = self._rules[root, folder] = self._rules.get((root, folder)) or self._inside(folder, rules)
            folder = inside(folder) + part
            is_folder = folder != path or _is_folder(path)
            if (part.startswith(".") and not self._alone) or rules.exclude(folder, is_folder=is_folder):
                return True
        return False

    def _inside(self, folder: str, outer: IgnoreRules | None) -> IgnoreRules:
        """What counts in a folder: what counts around it, or the patterns if it is a root, and its ignore file."""
        from soundloom.audio.ignore_rules import IGNORE_FILE, IgnoreRules

        rules = outer or IgnoreRules().with_patterns(folder, self._patterns)
        lines: list[str] = []
        if not self._alone:
            with suppress(OSError), open_binary(os_path(inside(folder) + IGNORE_FILE)) as file:
                lines = file.readall().decode(errors="surrogateescape").splitlines()
        return rules.with_patterns(folder, lines)


def _is_folder(path: str) -> bool:
    """Whether a root is a folder; at an address, whether its name has no ending."""
    return not os.path.splitext(path)[1] if is_address(path) else os.path.isdir(os_path(path))
