"""Merging of libraries of one model: rows, roots, fields, tags and annotations are taken over, nothing is embedded.

A path that both hold keeps the rows of the library that is merged into. Tags become decisions there, so that they
follow the sounds as those that are given by hand. Annotations stay those of their contents, whatever the paths hold.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from soundloom.errors import LibraryError
from soundloom.library.indexing.column_table import take_over_columns
from soundloom.library.indexing.commit_guard import CommitGuard
from soundloom.library.library import Library
from soundloom.library.library_files import is_library
from soundloom.library.mirror import library_path
from soundloom.library.storage.facts_table import take_over_facts
from soundloom.library.storage.indexing_note import IndexingNote
from soundloom.library.storage.library_lock import AddLock
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.library.storage.sql import path_is_in
from soundloom.library.storage.store import Store
from soundloom.library.storage.store_folders import FIRST_STORE
from soundloom.remote import is_address
from soundloom.system_errors import one_line_errors

__all__ = ["MergeReport", "check_mergeable", "merge_libraries"]

_FILES = 500
"""Files whose rows are copied by one commit."""


@dataclass(frozen=True)
class MergeReport:
    """What a merge did.

    Attributes:
        files: files that were taken over.
        segments: their rows.
        known: files that the library held already, by their paths.
        lost_annotations: annotations that were taken over, of contents that no file of the library has.
    """

    files: int
    segments: int
    known: int
    lost_annotations: int = 0


def check_mergeable(folder: str | os.PathLike[str], others: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse to merge several libraries if one of them does not fit, before anything is made or changed.

    Args:
        folder: the library that grows, if it is there.
        others: those that are read.

    Raises:
        LibraryError: as for `merge_libraries`.
    """
    grows = library_path(folder).resolve()
    first, *rest = [Library.open(one) for one in ([folder] if is_library(grows) else []) + [*others]]
    for other in rest:
        _check_alike(first, other)


def merge_libraries(
    folder: str | os.PathLike[str], other: str | os.PathLike[str], *, following: Sequence[str | os.PathLike[str]] = ()
) -> MergeReport:
    """Take the rows, roots, fields, tags and annotations of a library over into another one.

    A merge that is interrupted leaves a note in the library that grows, and is done when it is called again.

    Args:
        folder: the library that grows; made if there is nothing.
        other: the one that is read, and stays as it is.
        following: libraries that are merged after this one; until they are, the note stays.

    Raises:
        LibraryError: they are of different models, windows or ways of decoding; or the same.
    """
    source = Library.open(other)
    there = library_path(folder).resolve()
    is_new = not os.path.lexists(there) or (is_address(folder) and not any(there.iterdir()))
    target = _made_alike(there, source) if is_new else Library.open(folder)
    _check_alike(target, source)
    store = Store(target.folder / target.settings.store, target.settings.dim)
    theirs = Store(source.folder / source.settings.store, source.settings.dim)
    registry = RootRegistry(target.folder)
    note = IndexingNote(target.folder, merging=[_named(one) for one in (other, *following)])
    with AddLock(target.folder).held():
        note.begin()
        registry.remember(RootRegistry(source.folder).paths())
        guard = CommitGuard(target.folder, registry)
        known, files = store.files(), theirs.files()
        new = sorted(files.keys() - known.keys())
        store.add_missing_columns()
        segments = 0
        for first in range(0, len(new), _FILES):
            rows = pa.Table.from_batches(list(theirs.scan(theirs.columns, path_is_in(new[first : first + _FILES]))))
            with guard.committing():
                store.append(rows)
            segments += rows.num_rows
            note.left(len(new) - min(first + _FILES, len(new)))
        hashes, others = ({path: state.hash for path, state in one.files().items()} for one in (store, theirs))
        take_over_facts(target.folder, source.folder, hashes)
        take_over_columns(target.folder, hashes, source.folder, others)
        store.note_contents()
    _take_over_tags(target, source)
    lost = target.annotations.take_over(source.annotations)
    with AddLock(target.folder).held():
        note.end()
    target.index()
    return MergeReport(len(new), segments, len(files) - len(new), lost)


def _named(library: str | os.PathLike[str]) -> str:
    """A library as a command names it from anywhere."""
    return str(library) if is_address(library) else os.path.abspath(library)


def _made_alike(folder: Path, source: Library) -> Library:
    """A new, empty library with the settings of another."""
    with one_line_errors(folder.parent):
        folder.mkdir(parents=True)
        replace(source.settings, store=FIRST_STORE, checksums=True).write(folder)
    return Library.open(folder)


def _check_alike(target: Library, source: Library) -> None:
    if target.folder == source.folder:
        raise LibraryError(f"{str(target.folder)!r} cannot be merged into itself: name two libraries")
    mine, theirs = target.settings, source.settings
    if different := mine.differing(theirs):
        name = different[0]
        raise LibraryError(
            f"the libraries differ in their {', '.join(different)} ({name}: {getattr(mine, name)!r} and "
            f"{getattr(theirs, name)!r}), so their embeddings cannot be compared: index the sounds of "
            f"{str(source.folder)!r} into {str(target.folder)!r}"
        )


def _take_over_tags(target: Library, source: Library) -> None:
    held = set(target.files())
    by_tag: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    rows = source.rows(["path", "start", "end", "tags"]).to_pydict()
    for path, start, end, tags in zip(*rows.values(), strict=True):
        for tag in tags or () if path in held else ():
            by_tag[tag].append((path, start, end))
    segments = target.index().segments
    for tag, regions in sorted(by_tag.items()):
        wanted = {(path, start) for path, start, _ in regions}
        numbers = segments.rows_of(regions)
        exact = [segment for segment in segments.at(numbers) if (segment.path, segment.start) in wanted]
        target.tags.add(tag, exact)
