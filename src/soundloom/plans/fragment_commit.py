"""Commit of finished shards to a library: all rows of a shard in one transaction, each file once, whatever is killed.

A file's rows name it and the hash of its content, so what the library holds is itself the record of what was committed,
written by the same transaction as the rows. A commit that is repeated after it was killed reads that record and leaves
out what is there; ``committed/ID.json`` only spares it the comparison. One process at a time commits: it holds the
library's lock of adding, as `soundloom index` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from soundloom.errors import LibraryDamagedError, LibraryError
from soundloom.library import Library
from soundloom.library.annotation_store.annotation_log import AnnotationLog
from soundloom.library.indexing.add_report import AddReport, AddTally, FileProgress
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.indexing.file_facts import read_facts
from soundloom.library.indexing.file_rows import FLUSH_ROWS, RowWriter
from soundloom.library.indexing.indexed_library import IndexedLibrary
from soundloom.library.storage.facts_table import FileFacts, update_facts
from soundloom.library.storage.table_schema import FileState
from soundloom.library.tags.tag_table import FileTags
from soundloom.plans.fragment import FileResult, decode_fragment, digest_of
from soundloom.plans.plan_file import FinishedShard, PlanFile, differences, marked_shards, shard_key
from soundloom.remote.object_storage import ObjectStorage

__all__ = ["commit_fragments"]

_SHARDS_AT_ONCE = 200
"""Shards after which facts and failures are written; both are small tables that are written whole."""


def commit_fragments(
    storage: ObjectStorage,
    plan: PlanFile,
    library: Library,
    progress: Callable[[FileProgress], None] | None = None,
) -> AddReport:
    """Commit the shards that are done and not committed; see `soundloom.plans.Plan.commit`."""
    different = differences(plan.settings, library.settings)
    if different:
        raise LibraryError(
            f"the plan {storage.address!r} is not for the library {str(library.folder)!r}, whose rows are made "
            f"otherwise ({different}): commit it to the library that it was made for, or make a new plan"
        )
    roots = list(plan.roots)
    with library.adding(roots) as indexed:
        return _Committer(storage, plan, indexed, progress).run(roots)


class _Committer:
    """One commit; the caller holds the lock of adding."""

    def __init__(
        self,
        storage: ObjectStorage,
        plan: PlanFile,
        library: IndexedLibrary,
        progress: Callable[[FileProgress], None] | None,
    ) -> None:
        self._storage = storage
        self._plan = plan
        self._library = library
        self._store = library.store
        self._tally = AddTally(progress)

    def run(self, roots: list[str]) -> AddReport:
        """Commit what is done and not committed."""
        registry = self._library.registry
        registry.finish_pending(self._store)
        self._store.add_missing_columns()
        missing = [path for root in registry.entries() for path in root.missing]
        known = self._store.files()
        annotations = AnnotationLog(self._library.folder)
        annotations.note_places(known)
        shortest, report = self._plan.shortest, self._tally.report
        writer = self._library.row_writer(self._store, shortest, known, FileTags(), report, missing)
        done = marked_shards(self._storage, "done") & self._plan.shards.keys()
        waiting = sorted(done - marked_shards(self._storage, "committed"))
        for first in range(0, len(waiting), _SHARDS_AT_ONCE):
            self._commit(waiting[first : first + _SHARDS_AT_ONCE], writer, known, waiting)
        if done == self._plan.shards.keys():
            self._record_failures(dict(self._plan.failed), ())
            registry.record(roots, missing)
            self._remove_unnamed()
        self._library.tag_editor.reconcile()
        if writer.commits:
            self._store.compact()
        report.count_annotations(annotations, known, self._store.files)
        return self._tally.finished()

    def _commit(
        self, shards: Sequence[str], writer: RowWriter, known: Mapping[str, FileState], waiting: Sequence[str]
    ) -> None:
        """Commit some shards: rows first, then what can be written again, then the marks that they are committed."""
        total = sum(self._plan.shards[shard] for shard in waiting)
        facts: dict[str, FileFacts] = {}
        levels: dict[str, tuple[float, float]] = {}
        failed: dict[str, str] = {}
        for shard in shards:
            for result in self._results(shard):
                if result.embedded is None or result.facts is None:
                    failed[result.path] = result.failure
                else:
                    facts[result.path] = result.facts
                    if result.embedded.level is not None:
                        levels[result.embedded.state.hash] = result.embedded.level
                    if _is_news(result.embedded.state, known.get(result.path)):
                        writer.collect(result.embedded)
                self._tally.file_done(result.path, total)
            if writer.rows >= FLUSH_ROWS:
                writer.flush()
        writer.flush()
        hashes = {path: state.hash for path, state in self._store.files().items()}

        def facts_of(path: str) -> FileFacts:
            return facts.get(path) or read_facts(path)

        update_facts(self._library.folder, hashes, facts_of, workers=self._library.workers, levels=levels)
        self._record_failures(failed, facts)
        for shard in shards:
            self._storage.put(shard_key("committed", shard), b"{}")

    def _results(self, shard: str) -> Iterator[FileResult]:
        """The results of a shard that is done."""
        said = FinishedShard.read(self._storage, [shard])[shard]
        if said.identity != self._plan.identity:
            raise LibraryError(
                f"shard {shard} of the plan {self._storage.address!r} was embedded by another model, engine or version "
                f"of soundloom (by {said.holder}): remove {shard_key('done', shard)!r} and run soundloom work again "
                "with the plan's own"
            )
        content = self._storage.get(said.fragment)
        if content is None or digest_of(content) != said.digest:
            state = "is missing" if content is None else "differs from what was written"
            raise LibraryDamagedError(
                f"{said.fragment!r} of the plan {self._storage.address!r} {state}: remove "
                f"{shard_key('done', shard)!r} and run soundloom work again"
            )
        return decode_fragment(content)

    def _remove_unnamed(self) -> None:
        """Remove fragments of workers that were killed before they said that the shard is done; all shards are done."""
        fragments = self._storage.keys("fragments/")
        if len(fragments) == len(self._plan.shards):
            return
        done = FinishedShard.read(self._storage, self._plan.shards)
        for key in set(fragments) - {said.fragment for said in done.values()}:
            self._storage.delete(key)

    def _record_failures(self, failed: Mapping[str, str], succeeded: Collection[str]) -> None:
        """Keep failures beside the earlier ones, without those of files that have rows now."""
        over = [failure.path for failure in self._store.failures() if failure.path in succeeded]
        self._store.record_failures(failed, over)
        self._tally.failed.update(failed)


def _is_news(state: FileState, known: FileState | None) -> bool:
    """Whether a file's rows are to be written: the library has none, or those of an earlier content."""
    if known is None:
        return True
    if known.hash == state.hash:
        return False
    try:
        now = FileOnDisk.of(state.path)
    except OSError:
        return state.mtime_ns > known.mtime_ns
    return (now.size, now.mtime_ns) == (state.size, state.mtime_ns) or state.mtime_ns > known.mtime_ns
