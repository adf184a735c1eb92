"""Synchronisation of a library with the disk: find, compare, move, embed, commit, report.

What is on disk decides which rows a library keeps, and content hashes decide which rows they are:

1. the files below the roots are compared with the library's (`diff`);
2. roots that have moved as a whole are recognised and relocated (`relocation`);
3. files whose content the library holds take over its rows (`moves`); nothing of them is embedded again;
4. all other candidates are embedded and committed, many files at a time but never a file in two;
5. files that are gone are removed, unless so much of a root is missing that a drive may be unplugged;
6. tags are brought up to date with the log of decisions and a table, and the facts of the files with the files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing

from soundloom.audio import DECODER_VERSION
from soundloom.embedding_model import EmbeddingModel
from soundloom.library.annotation_store.annotation_log import AnnotationLog
from soundloom.library.indexing.add_report import AddReport, AddTally, FileProgress
from soundloom.library.indexing.diff import FileOnDisk, LibraryDiff, are_copies, hash_known_sizes
from soundloom.library.indexing.file_rows import embed_files, segment_embedder, shortest_input
from soundloom.library.indexing.indexed_library import IndexedLibrary
from soundloom.library.indexing.losses import large_losses
from soundloom.library.indexing.moves import Move, paths_losing_content, plan_moves
from soundloom.library.indexing.redecode import redecode_files
from soundloom.library.indexing.relocation import absent_roots, files_by_root, find_new_place
from soundloom.library.indexing.scan import files_below
from soundloom.library.library_files import UNFINISHED_FOLDER
from soundloom.library.storage.indexing_note import IndexingNote
from soundloom.library.storage.root_paths import RootLookup, renamed
from soundloom.library.storage.table_schema import FileState
from soundloom.library.tags.tag_table import FileTags, TagTable
from soundloom.remote import existing

__all__ = ["Synchroniser"]


class Synchroniser:
    """Brings one library up to date once; see `Library.add`. The caller holds the lock of adding.

    Args:
        library: what is brought up to date.
        model: loads the model that embeds what is new; called if something may be, before any progress is reported.
        prune: remove the rows of files that are gone, however many.
        rehash: compare files by content even if their size and time are the same.
        exclude: patterns of files that are left out.
        progress: called after every file.
    """

    def __init__(
        self,
        library: IndexedLibrary,
        model: Callable[[], EmbeddingModel],
        *,
        prune: bool = False,
        rehash: bool = False,
        exclude: Sequence[str] = (),
        progress: Callable[[FileProgress], None] | None = None,
    ) -> None:
        self._library = library
        self._store = library.store
        self._registry = library.registry
        self._annotations = AnnotationLog(library.folder)
        self._model = model
        self._prune = prune
        self._rehash = rehash
        self._exclude = exclude
        self._tally = AddTally(progress)
        self._moved: set[str] = set()
        self._renamed: dict[str, str] = {}

    def run(self, roots: Sequence[str], tags: TagTable | None = None) -> AddReport:
        """Make the library hold the sounds below some roots as they are on disk.

        Args:
            roots: folders and files.
            tags: tags for the files.
        """
        with IndexingNote(self._library.folder, roots, tags=tags is not None).kept() as note:
            return self._run(roots, tags, note)

    def _run(self, roots: Sequence[str], tags: TagTable | None, note: IndexingNote) -> AddReport:
        report, failed = self._tally.report, self._tally.failed
        self._store.refresh()
        self._store.add_missing_columns()
        self._registry.finish_pending(self._store)
        known = self._store.files()
        found = files_below(roots, failed, report.left_out, known, self._exclude, self._registry.forgotten())
        diff = LibraryDiff(found, known, roots, failed, rehash=self._rehash)
        excluded = report.left_out.excluded
        absent = absent_roots(roots, self._registry.paths(), known, diff.present, excluded, prune=self._prune)
        report.unchanged = diff.unchanged  # without what is found below a relocated root, which counts as moved
        known = self._relocate(absent, known, diff)
        self._annotations.note_places(known, self._relocated)
        failed_before = {failure.path: failure.reason for failure in self._store.failures()}
        absent = [root for root in absent if root not in report.relocated]
        diff.missing = {path: state for path, state in diff.missing.items() if RootLookup(absent).root_of(path) is None}
        report.absent = [root for root in absent if RootLookup(roots).root_of(root) is not None]

        outdated = self._outdated(diff)
        if outdated or diff.candidates:
            self._model()
        held = {state.hash for state in known.values()}
        hashes = self._hash(diff.candidates, held, known)
        targets = [file.state(hashes[file.path]) for file in diff.candidates if hashes.get(file.path) in held]
        files = [file for file in diff.candidates if hashes.get(file.path) not in held]
        table = self._match(tags, known, diff)
        after = self._take_over_rows(targets, known, paths_losing_content(diff, known, hashes, targets, absent, roots))
        if self._renamed:
            self._annotations.note_places(after, lambda path: self._renamed.get(path, path))

        commits = self._write_new_rows(outdated, files, hashes, after, table, roots, note)
        report.moved = len(self._moved.difference(file.path for file in files))
        kept = self._remove_missing({path: state for path, state in diff.missing.items() if path in after}, roots)
        report.replaced = self._registry.record(roots, kept)
        retagged = self._library.tag_editor.reconcile(table)
        if commits or report.deleted or report.excluded or report.moved or report.copied or report.touched or retagged:
            self._store.compact()
        self._library.update_facts(self._store)
        report.tagged_failures = sorted(table.tags.keys() & failed.keys())
        report.beyond = table.beyond(self._store.files()) if table.tags else []
        report.count_tags(table)
        report.count_annotations(self._annotations, known, self._store.files)
        named = set(roots)
        report.failed_before = sorted(
            path for path, reason in failed.items() if failed_before.get(path) == reason and path not in named
        )
        return self._tally.finished()

    def _outdated(self, diff: LibraryDiff) -> dict[str, tuple[int, float]]:
        """The files that an earlier version of decoding decoded: path -> that version, and seconds."""
        before = self._store.decoded_before(DECODER_VERSION)
        return {path: was for path, was in before.items() if path in diff.present}

    def _write_new_rows(
        self,
        outdated: Mapping[str, tuple[int, float]],
        files: Sequence[FileOnDisk],
        hashes: Mapping[str, str],
        after: Mapping[str, FileState],
        table: FileTags,
        roots: Sequence[str],
        note: IndexingNote,
    ) -> int:
        """Decode outdated files again and embed new ones. Returns the number of commits."""
        embedded = {file.path for file in files}
        outdated = {path: was for path, was in outdated.items() if path not in embedded}
        if not files and not outdated:
            self._store.record_failures(self._tally.failed, roots)
            return 0
        note.left(len(files))
        model, settings, workers = self._model(), self._library.settings, self._library.workers
        reused = {path for entry in self._registry.entries() for path in entry.missing}
        shortest = shortest_input(model, settings.decoding)
        writer = self._library.row_writer(self._store, shortest, after, table, self._tally.report, reused)
        redecode_files(outdated, after, model, settings, writer, self._tally, workers)
        journal = self._library.folder / UNFINISHED_FOLDER
        embed = segment_embedder(model, settings.window, settings.hop, hashes, settings.decoding, journal)
        embed_files(files, embed, writer, self._tally, roots, workers, note.left)
        shutil.rmtree(journal, ignore_errors=True)
        return writer.commits

    def _match(self, tags: TagTable | None, known: Mapping[str, FileState], diff: LibraryDiff) -> FileTags:
        """The tags that a table gives to files that are there, readable or not, and to those of absent roots."""
        if tags is None:
            return FileTags()
        here = {*(path for path in known if path not in diff.missing), *diff.present, *self._tally.failed}
        matched = tags.match(here, are_copies)
        report = self._tally.report
        report.ambiguous, report.unmatched, report.table_rows = matched.ambiguous, matched.unmatched, matched.rows
        report.split_labels = tags.split
        return FileTags(matched.tags, tags.replace)

    def _relocate(self, absent: Iterable[str], known: dict[str, FileState], diff: LibraryDiff) -> dict[str, FileState]:
        """Relocate absent roots that are found again below the new files. Returns the library's files after it."""
        for root, files in files_by_root(known, list(absent)).items():
            place = find_new_place(root, files, diff.candidates, known)
            if place is not None:
                self._registry.relocate(self._store, root, place)
                self._tally.report.relocated[root] = place
                self._moved |= diff.present.intersection(place + file.path.removeprefix(root) for file in files)
                known = self._store.files()
                diff.refresh(known)
                renamed = (place + file.path.removeprefix(root) for file in files)
                diff.missing |= {path: known[path] for path in renamed if path not in diff.present}
        return known

    def _relocated(self, path: str) -> str:
        """A path of before as it is below the roots that have been relocated."""
        for root, place in self._tally.report.relocated.items():
            path = renamed(path, root, place)
        return path

    def _hash(
        self, candidates: Sequence[FileOnDisk], held: Collection[str], known: Mapping[str, FileState]
    ) -> dict[str, str]:
        """Content hashes of the candidates that may be known, by path; those that are known count as done."""
        hashes = {}
        with closing(hash_known_sizes(candidates, known, self._library.workers)) as hashed:
            for file, digest in hashed:
                if digest is not None:
                    hashes[file.path] = digest
                if digest in held:
                    self._tally.file_done(file.path, len(candidates))
        return hashes

    def _take_over_rows(
        self, targets: Sequence[FileState], known: Mapping[str, FileState], leaving: Sequence[str]
    ) -> dict[str, FileState]:
        """Give files the rows of their contents. Returns the library's files after it.

        Args:
            targets: files on disk whose content the library holds.
            known: the library's files.
            leaving: those that no longer hold the content that the library knows.
        """
        after = dict(known)
        states = {state.path: state for state in targets}
        held = {state.hash for state in ({path: known[path] for path in known.keys() - set(leaving)} | states).values()}
        self._library.tag_editor.keep_gone(
            path for path in states.keys() & known.keys() if known[path].hash not in held
        )
        for batch in plan_moves(targets, known, leaving):
            donors = {
                move.target.path: move.donor for move in batch.moves if known.get(move.target.path) != move.target
            }
            if donors or batch.vacated:
                with self._library.guard.committing():
                    self._store.move(donors, states, batch.vacated)
            for move in batch.moves:
                self._count(move, known)
            for path in batch.vacated:
                del after[path]
            after.update({move.target.path: move.target for move in batch.moves})
        return after

    def _count(self, move: Move, known: Mapping[str, FileState]) -> None:
        report, path = self._tally.report, move.target.path
        before = known.get(path)
        if move.kept:
            report.copied += 1
            report.new += before is None
            report.changed += before is not None
            self._moved.discard(path)
        elif move.donor != path:
            self._moved.add(path)
            self._renamed[move.donor] = path
        elif path not in self._moved:
            report.unchanged += before == move.target
            report.touched += before != move.target

    def _remove_missing(self, missing: Mapping[str, FileState], roots: Sequence[str]) -> list[str]:
        """Remove the rows of files that are gone, unless they are too much of their root. Returns what was kept."""
        if not missing:
            return []
        # A file that is there and was not found is left out by a pattern: no drive is unplugged.
        excluded = existing(missing)
        gone = missing.keys() - excluded
        durations = {path: seconds for path, seconds in self._store.durations().items() if path not in excluded}
        kept = [] if self._prune else large_losses(gone, durations, roots)
        removed = sorted(missing.keys() - set(kept))
        self._library.tag_editor.keep_gone(removed)
        with self._library.guard.committing():
            self._store.remove(removed)
        self._tally.report.excluded, self._tally.report.deleted = len(excluded), len(gone) - len(kept)
        self._tally.report.missing = len(kept)
        self._tally.report.missing_seconds = sum((durations.get(path, 0.0) for path in kept), 0.0)
        return kept
