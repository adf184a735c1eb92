"""Bringing a library up to date with the disk: find, compare, embed, commit, report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom import audio
from soundloom.embedder import Embedder
from soundloom.errors import LibraryError
from soundloom.file_pool import Failed, process
from soundloom.library.indexing.diff import Changes, Found, is_below
from soundloom.library.indexing.embed import Embedded, Recognised, segment_embedder
from soundloom.library.storage.settings import LibrarySettings
from soundloom.library.storage.store import Failure, FileState, Store
from soundloom.library.tags.tag_table import TagTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["AddReport", "Progress", "bring_up_to_date", "find_files", "roots_of"]

_FLUSH_ROWS = 4096
_FLUSH_SECONDS = 2.0


@dataclass(frozen=True)
class Progress:
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
        new: files embedded for the first time.
        changed: known files whose content had changed; embedded again.
        moved: known files found under another path; their embeddings were kept.
        touched: files of which only the modification time had changed.
        unchanged: files that were as the library knew them.
        deleted: files forgotten because they are gone.
        missing: files that are gone but were not forgotten, because they are most of the library.
        padded: files shorter than the model can hear, embedded with silence behind them.
        segments: rows written.
        seconds: seconds of sound embedded.
        failed: the files that could not be indexed, and why.
        absent: folders that the library was filled from and that are not there now; what they held is kept.
    """

    new: int = 0
    changed: int = 0
    moved: int = 0
    touched: int = 0
    unchanged: int = 0
    deleted: int = 0
    missing: int = 0
    padded: int = 0
    segments: int = 0
    seconds: float = 0.0
    failed: list[Failure] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def bring_up_to_date(
    store: Store,
    model: Embedder,
    settings: LibrarySettings,
    roots: Sequence[Path],
    *,
    tags: TagTable | None,
    workers: int,
    prune: bool,
    progress: Callable[[Progress], None] | None,
) -> AddReport:
    """Make a store hold the embeddings of the sounds as they are on disk; see `Library.add`."""
    report = AddReport()
    failed: dict[str, str] = {}
    known = store.files()
    changes = Changes(find_files(roots, failed), known, roots)
    report.unchanged = changes.unchanged
    tags_of = tags.match([*known, *(file.path for file in changes.candidates)]) if tags else {}

    writer = _Writer(
        store, known, tags_of, report, shortest=model.min_samples / model.sample_rate * settings.decoding.speed
    )
    embed = segment_embedder(model, settings.window, settings.hop, changes.recognise, settings.decoding)
    results = process(changes.candidates, embed, workers=workers)
    try:
        for done, (file, result) in enumerate(zip(changes.candidates, results, strict=True), start=1):
            if isinstance(result, Failed):
                failed[file.path] = result.reason
            else:
                writer.put(result)
            if progress is not None:
                progress(Progress(done, len(changes.candidates), report.seconds, file.path))
    finally:
        # Also when interrupted: what is finished is kept.
        results.close()
        writer.flush()
        _record_failures(store, failed, roots)
    _forget_missing(store, list(changes.missing), len(known), prune, report)
    retagged = {path: words for path, words in tags_of.items() if path in known and path not in writer.written}
    store.set_tags(retagged)
    if writer.commits or report.deleted or retagged:
        store.compact()
    report.failed = [Failure(path, failed[path]) for path in sorted(failed)]
    return report


class _Writer:
    """Collects results and commits them, many files at a time but never a file in two."""

    def __init__(
        self,
        store: Store,
        known: Mapping[str, FileState],
        tags: Mapping[str, Sequence[str]],
        report: AddReport,
        *,
        shortest: float,
    ) -> None:
        self._shortest = shortest
        self._store = store
        self._known = known
        self._tags = tags
        self._report = report
        self._new: list[pa.Table] = []
        self._changed: list[pa.Table] = []
        self._moves: dict[str, FileState] = {}
        self._rows = 0
        self._flushed = time.monotonic()
        self.commits = 0
        self.written: set[str] = set()

    def put(self, result: Embedded | Recognised) -> None:
        """Take a file's result; it is written at the next flush."""
        if isinstance(result, Recognised):
            self._moves[result.known_as] = result.state
            if result.known_as == result.path:
                self._report.touched += 1
            else:
                self._report.moved += 1
        else:
            rows = self._store.table(
                result.state, result.starts, result.ends, result.embeddings, self._tags.get(result.path, ())
            )
            if result.path in self._known:
                self._changed.append(rows)
                self._report.changed += 1
            else:
                self._new.append(rows)
                self._report.new += 1
            self.written.add(result.path)
            self._rows += rows.num_rows
            self._report.segments += rows.num_rows
            self._report.seconds += max(result.ends)
            self._report.padded += max(result.ends) < self._shortest
        if self._rows >= _FLUSH_ROWS or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit what was collected."""
        import pyarrow as pa

        if self._moves:
            self._store.relocate(self._moves)
        if self._changed:
            rows = pa.concat_tables(self._changed)
            self._store.replace(rows, sorted(set(rows["path"].to_pylist())))
        if self._new:
            self._store.append(pa.concat_tables(self._new))
        self.commits += bool(self._moves) + bool(self._changed) + bool(self._new)
        self._moves, self._changed, self._new, self._rows = {}, [], [], 0
        self._flushed = time.monotonic()


def _forget_missing(store: Store, missing: Sequence[str], known: int, prune: bool, report: AddReport) -> None:
    """Forget files that are gone, unless so many are that a disk may not be mounted."""
    if len(missing) > max(20, known // 2) and not prune:
        report.missing = len(missing)
        return
    store.remove(missing)
    report.deleted = len(missing)


def _record_failures(store: Store, failed: Mapping[str, str], roots: Sequence[Path]) -> None:
    """Remember the files that failed now, beside those elsewhere that failed before."""
    before = {failure.path: failure.reason for failure in store.failures()}
    after = {path: reason for path, reason in before.items() if not is_below(path, roots)} | dict(failed)
    if after != before:
        store.set_failures([Failure(path, after[path]) for path in sorted(after)])


def find_files(
    sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], failed: dict[str, str]
) -> Iterator[Found]:
    """The audio files below folders and files; those that cannot be looked at go to ``failed``, path -> reason.

    Raises:
        LibraryError: no folder or file is given, or one does not exist.
    """
    return _below(roots_of(sounds), failed)


def roots_of(sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The folders and files as absolute paths, their symbolic links left as they are.

    Raises:
        LibraryError: none is given, or one does not exist.
    """
    listed = [sounds] if isinstance(sounds, str | os.PathLike) else list(sounds)
    roots = [Path(os.path.abspath(Path(root).expanduser())) for root in listed]
    if not roots:
        raise LibraryError("no folder or file of sounds is given")
    for root in roots:
        if not root.exists():
            raise LibraryError(f"there is no folder or file {str(root)!r}")
    return roots


def _below(roots: Sequence[Path], failed: dict[str, str]) -> Iterator[Found]:
    for path in audio.find(roots, on_error=lambda path, reason: failed.__setitem__(str(path), reason)):
        try:
            str(path).encode("utf-8")
            yield Found.of(path, path.stat())
        except UnicodeEncodeError:
            failed[os.fsencode(path).decode("utf-8", "backslashreplace")] = "the name is not UTF-8: rename the file"
        except OSError as error:
            failed[str(path)] = f"cannot be looked at: {error.strerror}"
