"""Saved searches of a library: a name for the address of each, in one JSON file (RFC 8259) of the library's folder.

    {"marsh at dawn": "text=marsh&field=hour:5"}

The query is the part of the page's address behind the question mark, which `GET /search` and `GET /find` take as well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from soundloom.atomic_file import write_atomically
from soundloom.errors import LibraryError, QueryError
from soundloom.library.library_files import SEARCHES_FILE
from soundloom.library.mirror import changing
from soundloom.library.storage.library_lock import require_library

__all__ = ["SavedSearches"]

_MOST = 1000
_LONGEST_NAME = 200
_LONGEST_QUERY = 20_000


class SavedSearches:
    """The saved searches of one library; read anew at each call.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._file = self._folder / SEARCHES_FILE

    def all(self) -> dict[str, str]:
        """Name -> query, in the order in which they were saved.

        Raises:
            LibraryError: the file is damaged, or the library is not there.
        """
        if not self._folder.is_dir():
            require_library(self._folder)
        try:
            saved = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LibraryError(
                f"{self._file} cannot be read ({error}): restore it from a backup or remove it"
            ) from None
        if not (isinstance(saved, dict) and all(isinstance(query, str) for query in saved.values())):
            raise LibraryError(f"{self._file} holds no saved searches: restore it from a backup or remove it")
        return saved

    def save(self, name: str, query: str) -> None:
        """Save a query under a name, in place of the one that has the name.

        Raises:
            QueryError: the name is empty or too long, the query is too long, or there are too many.
        """
        with changing(self._folder):
            self._save(name.strip(), query)

    def _save(self, name: str, query: str) -> None:
        saved = {other: kept for other, kept in self.all().items() if other != name}
        if not 0 < len(name) <= _LONGEST_NAME:
            raise QueryError(f"the name of a search must have 1 to {_LONGEST_NAME} characters, got {len(name)}")
        if len(query) > _LONGEST_QUERY:
            raise QueryError(f"a saved query may have at most {_LONGEST_QUERY} characters, got {len(query)}")
        if len(saved) >= _MOST:
            raise QueryError(f"a library keeps at most {_MOST} searches: remove one first")
        self._write({**saved, name: query})

    def remove(self, name: str) -> None:
        """Remove a saved search.

        Raises:
            QueryError: there is none of that name.
        """
        with changing(self._folder):
            saved = self.all()
            if name not in saved:
                raise QueryError(f"there is no saved search {name!r}")
            del saved[name]
            self._write(saved)

    def _write(self, saved: dict[str, str]) -> None:
        write_atomically(self._file, json.dumps(saved, ensure_ascii=False, indent=2) + "\n")
