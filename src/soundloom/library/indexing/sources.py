"""The folders and files that a library was filled from: to bring it up to date nobody need name them again.

Kept as ``roots.json`` beside the store. What lies in another of them is not listed twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from soundloom.errors import LibraryError
from soundloom.library.indexing.diff import is_below

__all__ = ["Roots", "folders_of", "outermost"]


class Roots:
    """The roots of one library.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "roots.json"

    def known(self) -> list[Path]:
        """What was remembered, sorted.

        Raises:
            LibraryError: the file is damaged.
        """
        try:
            return [Path(root) for root in json.loads(self._file.read_text(encoding="utf-8"))["roots"]]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(
                f"the list of folders {str(self._file)!r} is damaged ({error}): remove it, and name the folders when "
                "you index again"
            ) from None

    def remember(self, roots: Iterable[Path]) -> None:
        """Add to what is remembered; the file is written whole or not at all, and only if that is something new."""
        known = self.known()
        every = outermost([*known, *roots])
        if every != known:
            temporary = self._file.with_suffix(".writing")
            temporary.write_text(json.dumps({"roots": [str(root) for root in every]}, indent=2) + "\n", "utf-8")
            temporary.replace(self._file)


def outermost(paths: Iterable[PurePath]) -> list[Path]:
    """Paths without those that lie in another of them, sorted."""
    every = sorted({Path(path) for path in paths}, key=lambda path: path.parts)
    found: list[Path] = []
    for path in every:
        # In the order of their components a folder comes right before all that lies in it.
        if not (found and is_below(str(path), [found[-1]])):
            found.append(path)
    return found


def folders_of(files: Iterable[str]) -> list[Path]:
    """The outermost of the folders that files lie in: the best guess where nothing was remembered."""
    return outermost({PurePath(os.path.dirname(file)) for file in files})
