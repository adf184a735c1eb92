"""Rows of files: each file is hashed, decoded, cut into segments and embedded, and its rows are committed.

Files are decoded and embedded many at a time (`soundloom.file_pool`); the rows of many files share a commit, but those
of one file are never split between two. A file that was edited in place keeps the tags of its old rows: a segment those
of the segment that began at the same second, a segment beyond them the tags that all of the old ones had. A new sound
under the name of one that was missing gets none of them. A content that was gone gets the tags back that tables gave
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.embedding_model import EmbeddingModel
from soundloom.file_pool import Failed, process
from soundloom.library.indexing.add_report import AddReport, AddTally
from soundloom.library.indexing.commit_guard import CommitGuard
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileNotice, FileState, content_hash, segment_rows
from soundloom.library.tags.edit_log import ContentChange
from soundloom.library.tags.editor import TagEditor
from soundloom.library.tags.tag_table import FileTags
from soundloom.row_journal import RowJournal

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FLUSH_ROWS", "Embedded", "RowWriter", "embed_files", "segment_embedder", "shortest_input"]

FLUSH_ROWS = 4096
"""Rows that one commit is worth."""
_FLUSH_SECONDS = 2.0

_LONG_BYTES = 2**22
"""Size of a file from which on its embeddings are noted one by one."""


@dataclass(frozen=True)
class Embedded:
    """A file's embeddings.

    Attributes:
        state: the file.
        starts: the second at which each row's stretch of sound starts.
        ends: the second at which it ends.
        embeddings: a row a stretch, ``[rows, dim]``.
        times: the second that each row stands for.
        notices: what was noticed of the sound.
        level: peak and root mean square in decibels of full scale; None where they were not measured.
    """

    state: FileState
    starts: Sequence[float]
    ends: Sequence[float]
    embeddings: Float[np.ndarray, "rows dim"]
    times: Sequence[float]
    notices: Sequence[audio.Notice] = ()
    level: tuple[float, float] | None = None

    @property
    def path(self) -> str:
        """The file."""
        return self.state.path


def segment_embedder(
    model: EmbeddingModel,
    window: float | None,
    hop: float | None,
    hashes: Mapping[str, str] = MappingProxyType({}),
    decoding: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
    journal: Path | None = None,
) -> Callable[[FileOnDisk, audio.AvProcess], Embedded]:
    """The work of embedding one file's segments.

    A file is decoded from its beginning again after a run that was killed, but what the journal holds of a long one is
    not embedded again.

    Args:
        model: the embedder.
        window: seconds of a segment; None keeps every file whole.
        hop: seconds from segment to segment.
        hashes: content hashes that are known already, by path.
        decoding: how files become waveforms.
        journal: a folder for the embeddings of files that are not finished; None: they are not kept.
    """
    fingerprint = model.fingerprint() if journal is not None else ""

    def embed(file: FileOnDisk, av: audio.AvProcess) -> Embedded:
        state = file.state(hashes.get(file.path) or content_hash(file.path))
        starts, ends, vectors = [], [], []
        notices: list[audio.Notice] = []
        energy = audio.Energy()
        blocks = audio.stream(file.path, model.sample_rate, av=av, options=decoding, notices=notices, energy=energy)
        key = {"hash": state.hash, "model": fingerprint, "window": window, "hop": hop, "decoding": decoding.to_data()}
        long = file.size > _LONG_BYTES and window is not None
        with RowJournal(journal if long else None, key, model.dim) as kept:
            for number, segment in enumerate(audio.segments(blocks, model.sample_rate, window, hop)):
                starts.append(_of_file(segment.start, decoding.speed))
                ends.append(_of_file(segment.end, decoding.speed))
                if number < len(kept.done):
                    vectors.append(kept.done[number])
                else:
                    vectors.append(model.embed_samples(segment.samples))
                    kept.append(vectors[-1][None])
        middles = [(start + end) / 2 for start, end in zip(starts, ends, strict=True)]
        return Embedded(state, starts, ends, np.stack(vectors), middles, notices, energy.decibels)

    return embed


def shortest_input(model: EmbeddingModel, decoding: audio.DecodeOptions) -> float:
    """How many seconds of a file the model needs at least; shorter ones get silence behind them."""
    return model.min_samples / model.sample_rate * decoding.speed


def _of_file(second: float, speed: float) -> float:
    """A second of the file, without the rounding of a product with a speed."""
    return second if speed == 1 else round(second * speed, 9)


def embed_files(
    files: Sequence[FileOnDisk],
    embed: Callable[[FileOnDisk, audio.AvProcess], Embedded],
    writer: RowWriter,
    tally: AddTally,
    roots: Sequence[str],
    workers: int,
    left: Callable[[int], None] = lambda _files: None,
) -> None:
    """Embed files and commit their rows; what is finished is kept also when this is interrupted.

    Args:
        files: the files.
        embed: the work on one file, of `segment_embedder`.
        writer: commits the rows.
        tally: counts files and failures.
        roots: where the files were searched; earlier failures below them are forgotten.
        workers: how many files at a time.
        left: called after every commit with the number of files that are left.
    """
    total, commits = tally.done + len(files), writer.commits
    results = process(files, embed, workers=workers)
    try:
        for file, result in zip(files, results, strict=True):
            if isinstance(result, Failed):
                tally.failed[file.path] = result.reason
            else:
                writer.put(result)
            tally.file_done(file.path, total)
            if writer.commits > commits:
                commits = writer.commits
                left(total - tally.done)
    finally:
        results.close()
        writer.flush()
        writer.record_failures(tally.failed, roots)
        left(total - tally.done)


class RowWriter:
    """Collects the rows of embedded files and commits them.

    Args:
        store: the library's rows.
        tag_editor: the library's tags.
        guard: surrounds every commit.
        known: the library's files before the first commit.
        table: the tags that a table gives to files.
        report: counts what is written.
        shortest: the model's shortest input in seconds.
        reused: files that were missing when their root was last indexed.

    Attributes:
        commits: how many commits were made.
        rows: how many rows wait for the next flush.
        levels: of the contents that were written, by hash.
    """

    def __init__(
        self,
        store: Store,
        tag_editor: TagEditor,
        guard: CommitGuard,
        known: Mapping[str, FileState],
        table: FileTags,
        report: AddReport,
        *,
        shortest: float,
        reused: Collection[str],
    ) -> None:
        self._store = store
        self._tag_editor = tag_editor
        self._guard = guard
        self._known = known
        self._table = table
        self._report = report
        self._shortest = shortest
        self._reused = reused
        self._decisions = tag_editor.decisions(known)
        self._new: list[Embedded] = []
        self._changed: list[Embedded] = []
        self.rows = 0
        self._flushed = time.monotonic()
        self.commits = 0
        self.levels: dict[str, tuple[float, float]] = {}

    def put(self, result: Embedded) -> None:
        """Take a file's embeddings; they are written at the next flush, which may be now."""
        self.collect(result)
        if self.rows >= FLUSH_ROWS or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def collect(self, result: Embedded) -> None:
        """Take a file's embeddings, which the caller's next `flush` writes."""
        short = self.shortness(max(result.ends))
        result = replace(result, notices=[*result.notices, *short])
        known, report = result.path in self._known, self._report
        (self._changed if known else self._new).append(result)
        report.changed += known
        report.new += not known
        if result.level is not None:
            self.levels[result.state.hash] = result.level
        self.rows += len(result.starts)
        report.segments += len(result.starts)
        report.seconds += max(result.ends)
        report.padded += len(short)
        report.notices += [FileNotice(result.path, notice.code, notice.text) for notice in result.notices]

    def shortness(self, seconds: float) -> list[audio.Notice]:
        """What is noticed of the length of a file: that it is shorter than the model's shortest input."""
        if seconds >= self._shortest:
            return []
        text = f"shorter than the {self._shortest:.3f} s that the model takes: silence was added"
        return [audio.Notice("short", text)]

    def flush(self) -> None:
        """Commit what was collected."""
        if self._changed:
            with self._guard.committing():
                self._replace_rows()
            self.commits += 1
        if self._new:
            with self._guard.committing():
                self._store.append(self._table_of(self._new, {}))
            self.commits += 1
        self._changed, self._new, self.rows = [], [], 0
        self._flushed = time.monotonic()

    def record_decoding(self, notices: Mapping[str, Sequence[audio.Notice]], version: int) -> None:
        """Record of files whose rows stay that they were decoded by a version, and what was noticed; one commit."""
        if notices:
            with self._guard.committing():
                self._store.write_decoding(notices, version)

    def record_failures(self, failed: Mapping[str, str], roots: Sequence[str]) -> None:
        """Keep the list of files below some roots that could not be indexed."""
        self._store.record_failures(failed, roots)

    def _replace_rows(self) -> None:
        """Put the rows of changed files in the place of their old ones, whose tags they take over."""
        edited = [result for result in self._changed if result.path not in self._reused]
        self._tag_editor.keep_gone(result.path for result in self._changed if result.path in self._reused)
        before = {result.path: self._known[result.path].hash for result in edited}
        old_tags = self._store.tags(list(before))
        changes = [ContentChange(result.path, before[result.path], result.state.hash) for result in edited]
        self._tag_editor.hand_on([change for change in changes if change.before != change.after], self._known)
        rows = self._table_of(self._changed, old_tags)
        self._store.replace(rows, sorted(result.path for result in self._changed))

    def _table_of(
        self, results: Sequence[Embedded], old_tags: Mapping[str, Mapping[float, frozenset[str]]]
    ) -> pa.Table:
        """The rows of files, with their tags."""
        import pyarrow as pa

        tables = []
        for result in results:
            state, tags = result.state, []
            old = old_tags.get(state.path, {})
            common = frozenset.intersection(*old.values()) if old else frozenset()
            known, gone = self._known.get(state.path), self._decisions.when_gone(state.hash)
            for start, end in zip(result.starts, result.ends, strict=True):
                before = old.get(start, common)
                if known is None or known.hash != state.hash:
                    before |= gone.at(start)
                without, given = (
                    self._decisions.apply(some, state.path, state.hash, start)
                    for some in (before, self._table.apply(before, state.path, start, end))
                )
                self._table.record(state.path, without, given)
                tags.append(sorted(given))
            tables.append(segment_rows(state, result.starts, result.ends, result.embeddings, tags, result.notices))
        return pa.concat_tables(tables)
