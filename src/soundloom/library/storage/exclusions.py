"""Patterns of files that a library leaves out, in ``exclude.txt`` beside its rows: gitignore syntax, a line each.

They are given once (`soundloom index --exclude`) and count from then on; delete a line to take its pattern back.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from soundloom.atomic_file import write_atomically
from soundloom.errors import LibraryError
from soundloom.library.library_files import EXCLUSIONS_FILE
from soundloom.library.mirror import shown
from soundloom.system_errors import one_line_errors

__all__ = ["patterns_file", "read_exclusions", "remember_exclusions"]


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
