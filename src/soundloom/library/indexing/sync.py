"""Synchronisation of a library with the disk: find, compare, move, embed, commit, report.

What is on disk decides which rows a library keeps, and content hashes decide which rows they are:

1. the files below the roots are compared with the library's (`diff`);
2. roots that have moved as a whole are recognised and relocated (`relocation`);
3. files whose content the library holds take over its rows (`moves`); nothing of them is embedded again;
4. all other candidates are embedded and committed, many files at a time but never a file in two;
5. files that are gone are removed, unless so much of a root is missing that a drive may be unplugged;
6. tags are brought up to date with the log of decisions and a table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soundloom.audio import DECODER_VERSION, Notice
from soundloom.embedder import Embedder
from soundloom.errors import LibraryError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process
from soundloom.library.indexing.diff import FileOnDisk, LibraryDiff, hash_known_sizes
from soundloom.library.indexing.embed import segment_embedder
from soundloom.library.indexing.moves import Move, plan_moves
from soundloom.library.indexing.redecode import SameSound, redecoder
from soundloom.library.indexing.relocation import dispersed_roots, files_by_root, find_new_place
from soundloom.library.indexing.scan import find_files
from soundloom.library.indexing.writer import RowWriter
from soundloom.library.storage.library_lock import require_library
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.root_paths import RootLookup, is_below, is_empty, totals_by_root
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.library.storage.segment_rows import Failure, FileNotice, FileState
from soundloom.library.storage.store import Store
from soundloom.library.tags.editor import TagEditor
from soundloom.library.tags.tag_table import TagTable

__all__ = ["AddReport", "FileProgress", "Synchroniser"]

_LARGEST_SHARE, _MOST_SECONDS = 0.1, 3600.0
"""What may be gone of a root for its rows to be removed: a share of its length, and seconds."""


@dataclass(frozen=True)
class FileProgress:
    """How far an update has come.

    Attributes:
        done: files done.
        total: files to do.
        seconds: seconds of sound embedded so far.
        path: the file done last.
    """

    done: int
    total: int
    seconds: float
    path: str


@dataclass
class AddReport:
    """What an update did, in numbers of files unless said otherwise.

    Attributes:
        new: files that the library did not know.
        changed: known files whose content had changed.
        copied: those of the new and changed files whose content the library held: its embeddings were copied.
        moved: files found under another path, renamed, swapped or in a relocated root; their embeddings were kept.
        touched: files of which only the modification time had changed.
        unchanged: files that were as the library knew them.
        deleted: files whose rows were removed because they are gone.
        missing: files that are gone but were kept, because they are too much of their root.
        missing_seconds: how long these are together.
        redecoded: files that a newer version of decoding decodes to another sound: they were embedded again.
        padded: files shorter than the model's shortest input, embedded with silence behind them.
        segments: rows written.
        seconds: seconds of sound embedded.
        notices: what was noticed of the files that were decoded, such as digital silence.
        failed: the files that could not be indexed, and why.
        absent: roots that are not there now, or are empty where they held files; their rows are kept.
        relocated: roots that were recognised under another path: the old path -> the new one.
        ambiguous: rows of the table of tags that fit several files, and were left out.
        unmatched: rows of the table of tags that fit no file.
    """

    new: int = 0
    changed: int = 0
    copied: int = 0
    moved: int = 0
    touched: int = 0
    unchanged: int = 0
    deleted: int = 0
    missing: int = 0
    missing_seconds: float = 0.0
    redecoded: int = 0
    padded: int = 0
    segments: int = 0
    seconds: float = 0.0
    notices: list[FileNotice] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    relocated: dict[str, str] = field(default_factory=dict)
    ambiguous: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


class Synchroniser:
    """Brings one library up to date once; see `Library.add`. The caller holds the lock of adding.

    Args:
        folder: the library's.
        store: its rows.
        model: embeds what is new.
        settings: how files are cut.
        registry: the library's roots.
        tag_editor: the library's tags.
        workers: how many files at a time.
        prune: remove the rows of files that are gone, however many.
        rehash: compare files by content even if their size and time are the same.
        progress: called after every file.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        model: Embedder,
        settings: LibrarySettings,
        registry: RootRegistry,
        tag_editor: TagEditor,
        *,
        workers: int,
        prune: bool = False,
        rehash: bool = False,
        progress: Callable[[FileProgress], None] | None = None,
    ) -> None:
        self._folder = folder
        self._store = store
        self._model = model
        self._settings = settings
        self._registry = registry
        self._tag_editor = tag_editor
        self._workers = workers
        self._prune = prune
        self._rehash = rehash
        self._progress = progress
        self._library_id = registry.library_id()
        self._report = AddReport()
        self._done = 0

    def run(self, roots: Sequence[Path], tags: TagTable | None = None) -> AddReport:
        """Make the library hold the sounds below some roots as they are on disk.

        Args:
            roots: folders and files.
            tags: tags for the files.
        """
        report, failed = self._report, dict[str, str]()
        self._store.add_missing_columns()
        self._registry.finish_pending(self._store)
        known = self._store.files()
        diff = LibraryDiff(find_files(roots, failed), known, roots, failed, rehash=self._rehash)
        absent = self._absent_roots(roots, known, diff)
        report.unchanged = diff.unchanged  # without what is found below a relocated root, which counts as moved
        known = self._relocate(absent, known, diff)
        absent = [root for root in absent if root not in report.relocated]
        diff.missing = {path: state for path, state in diff.missing.items() if RootLookup(absent).root_of(path) is None}
        report.absent = [root for root in absent if RootLookup(roots).root_of(root) is not None]

        held = {state.hash for state in known.values()}
        hashes = self._hash(diff.candidates, held, known)
        targets = [file.state(hashes[file.path]) for file in diff.candidates if hashes.get(file.path) in held]
        files = [file for file in diff.candidates if hashes.get(file.path) not in held]
        table = self._match(tags, known, diff)
        after = self._take_over_rows(targets, known, _leaving(diff, known, hashes, targets, absent, roots))

        reused = {path for entry in self._registry.entries() for path in entry.missing}
        shortest = self._model.min_samples / self._model.sample_rate * self._settings.decoding.speed
        writer = RowWriter(
            self._store, self._tag_editor, after, table, report,
            shortest=shortest, reused=reused, check=self._check_home,
        )  # fmt: skip
        self._decode_again(diff.present - {file.path for file in files}, after, writer, failed)
        self._embed(files, hashes, writer, roots, failed)
        kept = self._remove_missing({path: state for path, state in diff.missing.items() if path in after}, roots)
        self._registry.record(roots, kept)
        retagged = self._tag_editor.reconcile(table)
        if writer.commits or report.deleted or report.moved or report.copied or report.touched or retagged:
            self._store.compact()
        report.failed = [Failure(path, failed[path]) for path in sorted(failed)]
        return report

    def _match(self, tags: TagTable | None, known: Mapping[str, FileState], diff: LibraryDiff) -> dict[str, list[str]]:
        """The tags that a table gives to files that are there, and to those of absent roots."""
        if tags is None:
            return {}
        matched = tags.match({*(path for path in known if path not in diff.missing), *diff.present})
        self._report.ambiguous, self._report.unmatched = matched.ambiguous, matched.unmatched
        return matched.tags

    def _absent_roots(self, roots: Sequence[Path], known: Mapping[str, FileState], diff: LibraryDiff) -> list[str]:
        """The roots that are not there, or are empty where they held files; not those that are to be pruned."""
        scanned, registered = {str(root) for root in roots}, {str(path) for path in self._registry.paths()}
        searched = RootLookup(scanned)
        held = files_by_root(known, scanned | registered)
        places = RootLookup(scanned | registered)
        filled = {places.root_of(path) for path in diff.present}
        absent = []
        for root in sorted(held):
            if searched.root_of(root) is not None:
                gone = root not in filled and not (self._prune and os.path.exists(os_path(root)))
            else:
                gone = is_empty(root)
            if gone:
                absent.append(root)
        return absent

    def _relocate(self, absent: Iterable[str], known: dict[str, FileState], diff: LibraryDiff) -> dict[str, FileState]:
        """Relocate absent roots that are found again below the new files. Returns the library's files after it."""
        for root, files in files_by_root(known, list(absent)).items():
            place = find_new_place(root, files, diff.candidates, known)
            if place is not None:
                self._registry.relocate(self._store, root, place)
                self._report.relocated[root] = place
                self._report.moved += sum(place + file.path.removeprefix(root) in diff.present for file in files)
                known = self._store.files()
                diff.refresh(known)
                renamed = (place + file.path.removeprefix(root) for file in files)
                diff.missing |= {path: known[path] for path in renamed if path not in diff.present}
        return known

    def _hash(
        self, candidates: Sequence[FileOnDisk], held: Collection[str], known: Mapping[str, FileState]
    ) -> dict[str, str]:
        """Content hashes of the candidates that may be known, by path; those that are known count as done."""

        def hashed(file: FileOnDisk, digest: str | None) -> None:
            if digest in held:
                self._report_progress(file, len(candidates))

        return hash_known_sizes(candidates, known, self._workers, hashed)

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
        for batch in plan_moves(targets, known, leaving):
            donors = {
                move.target.path: move.donor for move in batch.moves if known.get(move.target.path) != move.target
            }
            if donors or batch.vacated:
                self._check_home()
                self._store.move(donors, states, batch.vacated)
                self._check_home()
            for move in batch.moves:
                self._count(move, known)
            for path in batch.vacated:
                del after[path]
            after.update({move.target.path: move.target for move in batch.moves})
        return after

    def _count(self, move: Move, known: Mapping[str, FileState]) -> None:
        report, before = self._report, known.get(move.target.path)
        if move.donor != move.target.path and not move.kept:
            report.moved += 1
        elif move.kept:
            report.copied += 1
            report.new += before is None
            report.changed += before is not None
        elif before == move.target:
            report.unchanged += 1
        else:
            report.touched += 1

    def _decode_again(
        self, paths: Collection[str], known: Mapping[str, FileState], writer: RowWriter, failed: dict[str, str]
    ) -> None:
        """Bring the rows of files that an earlier version of decoding decoded up to the version of now.

        A file that is refused now keeps its rows, is reported as failed, and is looked at again the next time.
        """
        outdated = {path: was for path, was in self._store.decoded_before(DECODER_VERSION).items() if path in paths}
        files = [FileOnDisk(path, known[path].size, known[path].mtime_ns) for path in sorted(outdated)]
        settings = self._settings
        hashes = {file.path: known[file.path].hash for file in files}
        embed = segment_embedder(self._model, settings.window, settings.hop, hashes, settings.decoding)
        work = redecoder(embed, outdated, self._model.sample_rate, settings.decoding)
        results = process(files, work, workers=self._workers)
        same: dict[str, Sequence[Notice]] = {}
        total = self._done + len(files)
        try:
            for file, result in zip(files, results, strict=True):
                if isinstance(result, Failed):
                    failed[file.path] = result.reason
                elif isinstance(result, SameSound):
                    same[result.path] = result.notices
                else:
                    writer.put(result)
                    self._report.redecoded += 1
                    self._report.changed -= 1
                    self._report.unchanged -= 1
                self._report_progress(file, total)
        finally:
            results.close()
            writer.flush()
            if same:
                self._check_home()
                self._store.write_decoding(same, DECODER_VERSION)
                self._check_home()

    def _embed(
        self,
        files: Sequence[FileOnDisk],
        hashes: Mapping[str, str],
        writer: RowWriter,
        roots: Sequence[Path],
        failed: dict[str, str],
    ) -> None:
        """Embed files and commit their rows; what is finished is kept also when this is interrupted."""
        total = self._done + len(files)
        settings = self._settings
        work = segment_embedder(self._model, settings.window, settings.hop, hashes, settings.decoding)
        results = process(files, work, workers=self._workers)
        try:
            for file, result in zip(files, results, strict=True):
                if isinstance(result, Failed):
                    failed[file.path] = result.reason
                else:
                    writer.put(result)
                self._report_progress(file, total)
        finally:
            results.close()
            writer.flush()
            _record_failures(self._store, failed, roots)

    def _remove_missing(self, missing: Mapping[str, FileState], roots: Sequence[Path]) -> list[str]:
        """Remove the rows of files that are gone, unless they are too much of their root. Returns what was kept."""
        if not missing:
            return []
        lookup = RootLookup(roots)
        durations = self._store.durations()
        whole = totals_by_root(map(str, roots), durations, lookup.root_of)
        gone = totals_by_root(map(str, roots), {path: durations.get(path, 0.0) for path in missing}, lookup.root_of)
        removed: list[str] = []
        kept: list[str] = []
        for path in missing:
            root = lookup.root_of(path) or ""
            seconds = gone[root][1]
            too_much = seconds > min(_MOST_SECONDS, _LARGEST_SHARE * whole[root][1]) and not self._prune
            (kept if too_much else removed).append(path)
        self._check_home()
        self._store.remove(removed)
        self._report.deleted = len(removed)
        self._report.missing = len(kept)
        self._report.missing_seconds = sum((durations.get(path, 0.0) for path in kept), 0.0)
        return kept

    def _check_home(self) -> None:
        """Check before and after every commit that it went into this library; see `require_library`."""
        require_library(self._folder)
        if self._registry.library_id() != self._library_id:
            raise LibraryError(f"{str(self._folder)!r} is another library now: index again where the first one is")

    def _report_progress(self, file: FileOnDisk, total: int) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(FileProgress(self._done, total, self._report.seconds, file.path))


def _leaving(
    diff: LibraryDiff,
    known: Mapping[str, FileState],
    hashes: Mapping[str, str],
    targets: Sequence[FileState],
    absent: Sequence[str],
    roots: Sequence[Path],
) -> list[str]:
    """The known paths that no longer hold the content that the library knows: gone, or with another content.

    Files of an absent root stay, unless most of its contents are among the new files; so do files outside the roots
    that were searched, unless they are gone. Those that may have been edited in place come last.
    """
    new = {state.hash for state in targets if state.path not in known or known[state.path].hash != state.hash}
    held = {state.hash for state in known.values()}
    gone = list(diff.missing)
    replaced: list[str] = []
    edited: list[str] = []
    for file in diff.candidates:
        old, digest = known.get(file.path), hashes.get(file.path)
        # A file of the same size without a hash could not be read: nothing is known of its content.
        if old is not None and (digest is not None or file.size != old.size) and digest != old.hash:
            (replaced if digest in held else edited).append(file.path)
    away = RootLookup(absent)
    dispersed = set(dispersed_roots(files_by_root(known, absent), new))
    searched = RootLookup(roots)
    for path, state in known.items():
        if state.hash in new and path not in diff.present:
            root = away.root_of(path)
            elsewhere = root is None and searched.root_of(path) is None
            if root in dispersed or (elsewhere and not os.path.lexists(os_path(path))):
                gone.append(path)
    return [*dict.fromkeys(gone), *replaced, *edited]


def _record_failures(store: Store, failed: Mapping[str, str], roots: Sequence[Path]) -> None:
    """Remember the files that failed now, beside those elsewhere that failed before."""
    before = {failure.path: failure.reason for failure in store.failures()}
    after = {path: reason for path, reason in before.items() if not is_below(path, roots)} | dict(failed)
    if after != before:
        store.set_failures([Failure(path, after[path]) for path in sorted(after)])
