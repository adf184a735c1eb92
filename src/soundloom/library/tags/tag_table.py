"""Tags from a table: which words belong to which file.

A CSV with a column ``path`` (or ``file``, ``filename``) and a column ``tags`` (or ``tag``, ``label``,
``labels``); several tags in a cell are separated by ``;`` or ``,``. Paths are taken relative to the
table's folder; a row that matches nothing there is matched by the end of the path.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path, PurePath

from soundloom.errors import LibraryError

__all__ = ["TagTable"]

_PATH_COLUMNS = ("path", "file", "filename")
_TAG_COLUMNS = ("tags", "tag", "labels", "label")


class TagTable:
    """Tags by file, read from a CSV.

    Args:
        file: the table.

    Raises:
        LibraryError: the table is missing, is not text, lacks a column, or names a file twice differently.
    """

    def __init__(self, file: str | PathLike[str]) -> None:
        self._name = fspath(file)
        folder = Path(file).resolve().parent
        self._exact: dict[str, list[str]] = {}
        self._by_end: dict[str, set[str]] = defaultdict(set)
        for path, tags in self._rows():
            exact = str(folder / path)
            if self._exact.setdefault(exact, tags) != tags:
                raise LibraryError(f"tags file {self._name!r} has two rows with different tags for {path!r}")
            self._by_end[PurePath(path).name].add(exact)

    def __len__(self) -> int:
        return len(self._exact)

    def match(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """The tags of those of the files that the table names.

        Raises:
            LibraryError: the table names none of them.
        """
        found: dict[str, list[str]] = {}
        for path in paths:
            if path in self._exact:
                found[path] = self._exact[path]
                continue
            # The table may have been written elsewhere: the longest row that ends the path decides.
            candidates = [row for row in self._by_end.get(PurePath(path).name, ()) if self._ends(path, row)]
            if candidates:
                found[path] = self._exact[max(candidates, key=lambda row: (self._common(path, row), row))]
        if not found:
            example = next(iter(self._exact), "nothing")
            raise LibraryError(
                f"tags file {self._name!r} names none of the sounds (its first row is {example!r}): "
                "its paths should be relative to its own folder, or end like the sounds' paths"
            )
        return found

    def _rows(self) -> Iterable[tuple[str, list[str]]]:
        try:
            with open(self._name, encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                columns = [name.strip().lower() for name in reader.fieldnames or []]
                path_column = next((columns.index(name) for name in _PATH_COLUMNS if name in columns), None)
                tag_column = next((columns.index(name) for name in _TAG_COLUMNS if name in columns), None)
                if path_column is None or tag_column is None:
                    raise LibraryError(
                        f"tags file {self._name!r} must be a CSV with a column 'path' and a column 'tags', "
                        f"found {columns or 'no columns'}"
                    )
                for row in reader:
                    cells = list(row.values())
                    path, words = cells[path_column], cells[tag_column] or ""
                    if isinstance(path, str) and path.strip():
                        yield path.strip(), sorted({word.strip() for word in words.replace(",", ";").split(";")} - {""})
        except OSError as error:
            raise LibraryError(f"tags file {self._name!r} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise LibraryError(f"tags file {self._name!r} is not a CSV in UTF-8: {error}") from None

    @staticmethod
    def _common(path: str, row: str) -> int:
        """How many trailing components two paths share."""
        shared = 0
        for mine, theirs in zip(reversed(PurePath(path).parts), reversed(PurePath(row).parts), strict=False):
            if mine != theirs:
                break
            shared += 1
        return shared

    def _ends(self, path: str, row: str) -> bool:
        return self._common(path, row) >= 1
