"""A library as indexing sees it: where its rows, roots and tags are, how its files are cut, and who may commit."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from soundloom.library.indexing.add_report import AddReport
from soundloom.library.indexing.commit_guard import CommitGuard
from soundloom.library.indexing.file_facts import read_facts
from soundloom.library.indexing.file_rows import RowWriter
from soundloom.library.storage.facts_table import update_facts
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState
from soundloom.library.tags.editor import TagEditor
from soundloom.library.tags.tag_table import FileTags

__all__ = ["IndexedLibrary"]


class IndexedLibrary:
    """What the synchronisation and the upgrade of one library work on.

    Args:
        folder: the library's.
        store: its rows.
        registry: its roots.
        tag_editor: its tags.
        settings: how files are cut and decoded; of an upgrade, those of the library after it.
        workers: how many files at a time; one for each processor if not given.

    Attributes:
        guard: surrounds every commit; it knows which library is in the folder now.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        registry: RootRegistry,
        tag_editor: TagEditor,
        settings: LibrarySettings,
        workers: int | None,
    ) -> None:
        self.folder = folder
        self.store = store
        self.registry = registry
        self.tag_editor = tag_editor
        self.settings = settings
        self.workers = workers or os.cpu_count() or 1
        self.guard = CommitGuard(folder, registry)
        self._writers: list[RowWriter] = []

    def row_writer(
        self,
        store: Store,
        shortest: float,
        known: Mapping[str, FileState],
        table: FileTags,
        report: AddReport,
        reused: Collection[str],
    ) -> RowWriter:
        """A writer of the rows of files that were embedded; see `RowWriter`."""
        writer = RowWriter(store, self.tag_editor, self.guard, known, table, report, shortest=shortest, reused=reused)
        self._writers.append(writer)
        return writer

    def update_facts(self, store: Store) -> None:
        """Bring the facts of the files up to date with a store's files."""
        hashes = {path: state.hash for path, state in store.files().items()}
        levels = {digest: level for writer in self._writers for digest, level in writer.levels.items()}
        update_facts(self.folder, hashes, read_facts, workers=self.workers, levels=levels)
