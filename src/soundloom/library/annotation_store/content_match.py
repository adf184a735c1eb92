"""Match of a table's annotations with a library's files by content: of the file at a path, or by the hash in a row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from soundloom.annotations import Annotation
from soundloom.counted import counted
from soundloom.file_names import os_path
from soundloom.library.annotation_store.annotation_log import KeptAnnotation
from soundloom.library.storage.table_schema import FileState, content_hash

__all__ = ["CONTENT_COLUMN", "StatedContents", "by_content"]

CONTENT_COLUMN = "content_hash"
"""Column of a table with the hash of the content that a row is of, whatever is at its path now."""


def by_content(annotations: Sequence[Annotation], files: Mapping[str, FileState]) -> list[Annotation]:
    """The annotations, those of files outside the library with the path of a copy that it knows.

    Args:
        annotations: of any files.
        files: the library's, by path; they need not be there now.
    """
    sizes = {state.size for state in files.values()}
    copies: dict[str, str] = {}
    holders = {state.hash: path for path, state in files.items()}
    for path in {one.path for one in annotations} - files.keys():
        with suppress(OSError, ValueError):
            if os.path.isfile(os_path(path)) and os.path.getsize(os_path(path)) in sizes:
                copies[path] = holders.get(content_hash(path), path)
    return [replace(one, path=copies.get(one.path, one.path)) for one in annotations]


@dataclass
class StatedContents:
    """Annotations with the paths of the contents that they state.

    Attributes:
        annotations: those of contents that the library holds, or of which no content is stated.
        known: how many of the others the library knows, of contents that are gone.
        left_out: what is said of the rest, by path.
    """

    annotations: list[Annotation] = field(default_factory=list)
    known: int = 0
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, annotations: Iterable[Annotation], files: Mapping[str, FileState], ids: Collection[str]
    ) -> StatedContents:
        """Match annotations with files.

        Args:
            annotations: with the column `CONTENT_COLUMN`, or without it.
            files: the library's, by path.
            ids: of the annotations that it has.
        """
        holders = {state.hash: path for path, state in sorted(files.items(), reverse=True)}
        found, others = cls(), Counter[str]()
        for one in annotations:
            digest = str(one.columns.get(CONTENT_COLUMN, ""))
            plain = replace(one, columns={name: cell for name, cell in one.columns.items() if name != CONTENT_COLUMN})
            here = files.get(one.path)
            if digest in holders and (here is None or here.hash != digest):
                found.annotations.append(replace(plain, path=holders[digest]))
            elif digest not in holders and KeptAnnotation(digest, plain).id in ids:
                found.known += 1
            elif not digest or here is None or here.hash == digest:
                found.annotations.append(plain)
            else:
                others[one.path] += 1
        found.left_out = {
            path: f"{counted(count, 'region')} left out, of another content than it has now: index the sound that they "
            f"are of, or take the column {CONTENT_COLUMN!r} out of the table to give them to this one"
            for path, count in sorted(others.items())
        }
        return found
