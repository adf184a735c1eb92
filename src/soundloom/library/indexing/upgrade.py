"""Upgrade of a library to another model: a second store filled beside the first, then named in the settings.

All files of the library's roots are embedded with the new model into the store of the next generation
(`soundloom.library.storage.store_folders`), while searches go on in the store in use. At last the tags of the old rows
are given to the new ones, by content, and the settings are written: that one write replaces model and rows. A process
that is killed before it leaves the library as it was and the new rows where the next upgrade with the same model
continues; roots, log of tags and facts of the files serve both stores.

Files that are not there cannot be embedded anew. If they are more than an update may remove, the upgrade is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from shlex import quote

from soundloom.counted import counted
from soundloom.embedding_model import EmbeddingModel
from soundloom.errors import LibraryDamagedError, LibraryError
from soundloom.library.annotation_store.annotation_log import AnnotationLog
from soundloom.library.indexing.add_report import AddReport, AddTally, FileProgress
from soundloom.library.indexing.diff import FileOnDisk, LibraryDiff, hash_known_sizes
from soundloom.library.indexing.file_rows import embed_files, segment_embedder, shortest_input
from soundloom.library.indexing.indexed_library import IndexedLibrary
from soundloom.library.indexing.losses import large_losses
from soundloom.library.indexing.scan import files_below
from soundloom.library.library_files import INDEX_FOLDER, MAP_FOLDER, TAGS_LOCK, UNFINISHED_FOLDER
from soundloom.library.storage.exclusions import read_exclusions
from soundloom.library.storage.indexing_note import IndexingNote
from soundloom.library.storage.library_lock import library_lock
from soundloom.library.storage.root_paths import RootLookup
from soundloom.library.storage.store import Store
from soundloom.library.storage.store_folders import remove_replaced, remove_stores
from soundloom.library.storage.table_schema import FileState
from soundloom.library.tags.edit_log import ContentChange
from soundloom.library.tags.tag_table import FileTags
from soundloom.remote import existing

__all__ = ["Upgrade"]

_NAMED = 3
"""Lost files that an error names."""


class Upgrade:
    """Embeds the files of one library with another model; see `Library.upgrade`. The caller holds the lock of adding.

    Args:
        library: what is upgraded; its settings are those after the upgrade, and name the store to fill.
        model: embeds the files from now on.
        prune: leave out the files that cannot be embedded, however many.
        progress: called after every file.
    """

    def __init__(
        self,
        library: IndexedLibrary,
        model: EmbeddingModel,
        *,
        prune: bool = False,
        progress: Callable[[FileProgress], None] | None = None,
    ) -> None:
        self._library = library
        self._folder = library.folder
        self._store = library.store
        self._settings = library.settings
        self._tag_editor = library.tag_editor
        self._model = model
        self._prune = prune
        self._tally = AddTally(progress)

    def run(self, roots: Iterable[str]) -> AddReport:
        """Embed all files and replace the library's rows.

        Args:
            roots: those that are there.

        Raises:
            LibraryError: too many of the library's files are not there, or could not be embedded.
        """
        self._store.refresh()
        self._tag_editor.reconcile()
        self._library.registry.finish_pending(self._store)
        known = self._store.files()
        annotations = AnnotationLog(self._folder)
        annotations.note_places(known)
        listed, exclude = list(roots), read_exclusions(self._folder)
        lookup = RootLookup(listed)
        # Files of earlier versions may lie outside of all registered roots.
        alone = sorted(existing(path for path in known if lookup.root_of(path) is None))
        forgotten, report = self._library.registry.forgotten(), self._tally.report
        found = list(files_below([*listed, *alone], self._tally.failed, report.left_out, known, exclude, forgotten))
        hashes = self._hash(found, known, listed)
        self._refuse_losses(known, {file.path for file in found}, set(hashes.values()))

        new = self._open_new_store()
        self._embed(found, new, hashes, known, listed)
        after = new.files()
        contents = {state.hash for state in after.values()}
        self._refuse_losses(known, after.keys(), contents)
        report.deleted = len(self._lost(known, after.keys(), contents))
        report.count_annotations(annotations, known, lambda: after)
        new.compact()
        changes = [
            ContentChange(path, known[path].hash, state.hash)
            for path, state in after.items()
            if path in known and known[path].hash not in contents
        ]
        self._tag_editor.hand_on(changes, known)
        with library_lock(self._folder, TAGS_LOCK), self._library.guard.committing():
            self._tag_editor.carry_over(new, known)
            self._remove_caches()
            self._settings.write(self._folder)
        self._tidy(new, listed)
        return self._tally.finished()

    def _hash(self, found: Iterable[FileOnDisk], known: Mapping[str, FileState], roots: list[str]) -> dict[str, str]:
        """Content hashes by path, of the files that are as the library knows them, and of those that may be."""
        diff = LibraryDiff(found, known, roots)
        candidates = {file.path for file in diff.candidates}
        hashes = {path: known[path].hash for path in diff.present - candidates}
        with closing(hash_known_sizes(diff.candidates, known, self._library.workers)) as hashed:
            hashes.update({file.path: digest for file, digest in hashed if digest is not None})
        return hashes

    def _open_new_store(self) -> Store:
        """The store to fill, with the rows that an interrupted upgrade left; those for other models are removed."""
        remove_stores(self._folder, lambda name: name not in (self._store.folder.name, self._settings.store))
        folder = self._folder / self._settings.store
        try:
            return Store(folder, self._settings.dim)
        except LibraryDamagedError:
            remove_stores(self._folder, lambda name: name == self._settings.store)
            return Store(folder, self._settings.dim)

    def _embed(
        self,
        found: list[FileOnDisk],
        new: Store,
        hashes: Mapping[str, str],
        known: Mapping[str, FileState],
        roots: list[str],
    ) -> None:
        """Embed the files that the new store does not hold as they are, and remove from it those that are gone."""
        done = new.files()
        diff = LibraryDiff(found, done, roots)
        new.remove(sorted(done.keys() - diff.present))
        settings, report = self._settings, self._tally.report
        shortest = shortest_input(self._model, settings.decoding)
        writer = self._library.row_writer(new, shortest, done, FileTags(), report, diff.present)
        journal = self._library.folder / UNFINISHED_FOLDER
        embed = segment_embedder(self._model, settings.window, settings.hop, hashes, settings.decoding, journal)
        embed_files(diff.candidates, embed, writer, self._tally, roots, self._library.workers)
        shutil.rmtree(journal, ignore_errors=True)
        embedded = {file.path for file in diff.candidates} - self._tally.failed.keys()
        report.upgraded = len(embedded & known.keys())
        report.new, report.changed, report.unchanged = len(embedded) - report.upgraded, 0, diff.unchanged

    def _lost(self, known: Mapping[str, FileState], held: Iterable[str], contents: Iterable[str]) -> list[str]:
        """The files of the library of which neither the path nor the content is there."""
        paths, hashes = set(held), set(contents)
        return [path for path, state in sorted(known.items()) if path not in paths and state.hash not in hashes]

    def _refuse_losses(self, known: Mapping[str, FileState], held: Iterable[str], contents: Iterable[str]) -> None:
        lost = self._lost(known, held, contents)
        roots = self._library.registry.paths()
        # A file that is there, was not found and has not failed is left out by a pattern.
        unwanted = existing(path for path in lost if path not in self._tally.failed)
        large = [] if self._prune else large_losses(set(lost) - unwanted, self._store.durations(), roots)
        if large:
            named = "; ".join(f"{path!r} {self._tally.failed.get(path, 'is not there')}" for path in large[:_NAMED])
            more = f" and {len(large) - _NAMED} more" if len(large) > _NAMED else ""
            library = f"-l {quote(str(self._folder))}"
            raise LibraryError(
                f"{counted(len(large), 'file')} of the library cannot be embedded anew: {named}{more}. The library is "
                f"as it was. Connect the drive, or if the folder has moved: soundloom roots {library} relocate OLD "
                f"NEW; to lose a folder's rows: soundloom roots {library} forget FOLDER; to lose those of all files "
                f"that cannot be embedded: soundloom index --upgrade --prune {library}"
            )

    def _remove_caches(self) -> None:
        """Remove what was computed from the rows, except what somebody has in use."""
        for name in (INDEX_FOLDER, MAP_FOLDER):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _tidy(self, new: Store, roots: list[str]) -> None:
        """After the upgrade: remove the old store, and note the roots and the files as they are."""
        self._remove_caches()
        remove_replaced(self._folder)
        self._tally.report.replaced = self._library.registry.record(roots, [])
        self._library.update_facts(new)
        new.note_contents()
        IndexingNote(self._folder, roots).end()  # what an indexing had left is embedded
