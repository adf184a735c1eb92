"""Roots of a library: the folders and files that it was filled from, where each is, and whether it is there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from soundloom.errors import LibraryError
from soundloom.library.annotation_store.annotation_log import AnnotationLog
from soundloom.library.indexing.relocation import relocate_root
from soundloom.library.search.current_rows import StoredTables
from soundloom.library.storage.exclusions import read_exclusions, remember_exclusions
from soundloom.library.storage.library_lock import AddLock
from soundloom.library.storage.root_paths import RootLookup, is_below, is_empty, parents_of, totals_by_root
from soundloom.library.storage.root_registry import RootEntry, RootRegistry
from soundloom.library.storage.store import Store
from soundloom.library.tags.editor import TagEditor
from soundloom.remote import absolute_location, is_there
from soundloom.remote.locations import check_location

__all__ = ["Root", "Roots"]


@dataclass(frozen=True)
class Root:
    """A folder or file that a library was filled from.

    Attributes:
        path: where it is, or was when it was last seen.
        files: how many of its files are indexed.
        seconds: how long they are together.
        absent: whether it is not there now, or is an empty folder though files of it are indexed; its rows are kept.
        missing: how many of its files were gone when it was last indexed, and were kept.
        indexed: when it was last indexed, in UTC (ISO 8601); None if that is not known.
    """

    path: str
    files: int
    seconds: float
    absent: bool
    missing: int = 0
    indexed: str | None = None

    def __fspath__(self) -> str:
        return self.path


class Roots:
    """The roots of one library: `Library.roots`.

    Args:
        folder: the library's.
        store: its rows.
        registry: where the roots are written down.
        tag_editor: the library's tags.
        add_lock: held while roots change.
    """

    def __init__(
        self, folder: Path, store: Store, registry: RootRegistry, tag_editor: TagEditor, add_lock: AddLock
    ) -> None:
        self._folder = folder
        self._store = store
        self._registry = registry
        self._tag_editor = tag_editor
        self._add_lock = add_lock

    def all(self) -> list[Root]:
        """The folders and files that the library was filled from, without what lies in another of them.

        Where none is registered: the outermost folders that its files lie in.

        Raises:
            LibraryError: the list of folders is damaged.
        """
        durations = StoredTables(self._folder, self._store).durations()
        entries = self._registry.entries() or [RootEntry.of(path) for path in parents_of(durations)]
        lookup = RootLookup(entry.path for entry in entries)
        totals = totals_by_root((entry.path for entry in entries), durations, lookup.root_of)
        return [
            Root(
                entry.path,
                *totals[entry.path],
                absent=is_empty(entry.path) and (bool(totals[entry.path][0]) or not is_there(entry.path)),
                missing=len(entry.missing),
                indexed=entry.indexed,
            )
            for entry in entries
        ]

    def forgotten(self) -> list[str]:
        """The folders and files in roots that were forgotten, and are left out until they are indexed by name."""
        return self._registry.forgotten()

    def absent(self) -> tuple[str, ...]:
        """The registered roots that are not there now, or are empty though files of them are indexed.

        Raises:
            LibraryError: the list of folders is damaged.
        """
        return tuple(root.path for root in self.all() if root.absent) if self._registry.entries() else ()

    def present(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The roots that exist, and those that do not.

        Raises:
            LibraryError: none of them is there, or none is registered.
        """
        registered = self._registry.paths() or parents_of(self._store.files())
        there = tuple(root for root in registered if is_there(root))
        if not there:
            named = ", ".join(registered) or "none is remembered"
            raise LibraryError(
                f"none of the folders of {str(self._folder)!r} is there ({named}): name the folders"
                + ("; if one was moved: soundloom roots relocate OLD NEW" if registered else "")
            )
        return there, tuple(root for root in registered if root not in there)

    def take_in(self, roots: Sequence[str], exclude: Iterable[str], *, named: bool) -> tuple[list[str], list[str]]:
        """Register roots, and patterns of files to leave out; the caller holds the lock of adding.

        Args:
            roots: they.
            exclude: patterns.
            named: whether somebody has named the roots now, so that no pattern leaves them out.

        Returns:
            What is searched, and all patterns.
        """
        before = read_exclusions(self._folder)
        patterns = remember_exclusions(self._folder, exclude)
        self._registry.remember(roots, replacing=False)
        new = [pattern for pattern in patterns if pattern not in before]
        dropped = self._registry.drop_excluded(new, roots if named else ()) if new else set()
        return self.searched([root for root in roots if root not in dropped]), patterns

    def searched(self, named: Sequence[str]) -> list[str]:
        """What is searched of roots: they, and the registered roots in them that are there, which patterns may hide."""
        lookup = RootLookup(named)
        inner = (path for path in self._registry.paths() if lookup.root_of(path) is not None and is_there(path))
        return list(dict.fromkeys([*named, *inner]))

    def relocate(self, old: str | os.PathLike[str], new: str | os.PathLike[str]) -> Root:
        """Change the path of a root that was moved; its files are not embedded again.

        Where the library knows a file at its new path already, that file's rows stay and get the tags of the old ones
        if the content is the same.

        Args:
            old: the root's path, or a folder in it.
            new: where it is now; it must be there.

        Returns:
            The root at its new path; its `Root.missing` files are those of the old path that are not at the new one.

        Raises:
            RemoteFileError: the new path is an address whose server cannot be reached.
            LibraryError: nothing was indexed below the old path, the new one is not there or has none of its files,
                they lie in one another, or another process is adding to the library.
        """
        source, target = absolute_location(old), absolute_location(new)
        if not check_location(target):
            raise LibraryError(f"there is no folder or file {target!r}: give the path where {source!r} is now")
        with self._add_lock.held():
            self._store.refresh()
            missing = relocate_root(self._store, self._registry, self._tag_editor, source, target)
        moved = next(root for root in self.all() if is_below(target, [root.path]))
        return replace(moved, missing=missing)

    def forget(self, path: str | os.PathLike[str]) -> int:
        """Remove the rows of a root, and the root; tags of its files come back with their contents.

        Roots that lie in it stay. A folder or file in a root is left out of later runs, until it is indexed by name.

        Args:
            path: the root's, or of a folder or file in one.

        Returns:
            How many files were removed.

        Raises:
            LibraryError: nothing was indexed from it, or another process is adding to the library.
        """
        name = absolute_location(path)
        with self._add_lock.held():
            self._store.refresh()
            roots = [root.path for root in self.all()]
            inner = RootLookup([name, *(root for root in roots if is_below(root, [name]))])
            files = sum(inner.root_of(file) == name for file in self._store.files())
            failures = [failure.path for failure in self._store.failures()]
            if name not in roots and not files and not any(is_below(failed, [name]) for failed in failures):
                raise LibraryError(
                    f"{name!r} is no root of {str(self._folder)!r}, and nothing was indexed from it: its roots are "
                    f"{', '.join(roots) or 'none'}"
                )
            AnnotationLog(self._folder).note_places(self._store.files())
            self._tag_editor.keep_gone(file for file in self._store.files() if inner.root_of(file) == name)
            self._registry.forget(self._store, name)
        return files
