"""A corpus in the feature cache: every clip decoded once, resampled, cut to its region, and stored in a form.

What is there already, from this corpus or another, is not decoded again; a run that was killed goes on where it was
killed, a few seconds' work aside. A clip that cannot be decoded is left out and named.

The rows of a clip are compared with their checksum when a process first reads them. A clip whose rows are damaged is
decoded again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from jaxtyping import Float, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from soundloom import audio
from soundloom.cache_folder import cache_home
from soundloom.corpora import Corpus
from soundloom.errors import FeatureCacheError, InvalidArgumentError
from soundloom.feature_cache.content_hashes import content_hashes
from soundloom.feature_cache.formats import Form
from soundloom.feature_cache.row_store import CachedClip, Rows, as_cache_error
from soundloom.file_pool import Failed, process

__all__ = ["CacheProgress", "FeatureDataset", "prepare"]

_log = logging.getLogger(__name__)

# Rows wait until they are so many bytes or have waited so long, and are then written together.
_BATCH_BYTES = 32 << 20
_BATCH_SECONDS = 2.0


class FeatureDataset:
    """The clips of a corpus in a form, on disk, mapped into memory.

    Attributes:
        form: how the clips are kept.
        lengths: rows of every clip, in the corpus's order; 0 for a clip that could not be decoded.
        failures: the clips that could not be decoded, by their index in the corpus; a path and a reason each.
        fresh: how many clips were decoded now rather than found.
        seconds: how long it took.
    """

    def __init__(
        self,
        form: Form,
        rows: NDArray[Any],
        firsts: Int64[np.ndarray, " clips"],
        lengths: Int64[np.ndarray, " clips"],
        failures: Mapping[int, Failed[str]],
        *,
        fresh: int,
        seconds: float,
        repair: ClipRepair | None = None,
    ) -> None:
        self.form = form
        self.lengths = lengths
        self.failures = failures
        self.fresh = fresh
        self.seconds = seconds
        self._rows = rows
        self._firsts = firsts
        self._repair = repair
        self._unchecked = np.full(len(lengths), repair is not None)

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self)} clips, {int(self.lengths.sum()):,} rows of {list(self.form.shape)} "
            f"{self.form.dtype}, {len(self.failures)} not decoded)"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all rows of the corpus, a clip that occurs twice counted twice."""
        return int(self.lengths.sum()) * self.form.dtype.itemsize * int(np.prod(self.form.shape))

    def take(
        self, clips: Int64[np.ndarray, " windows"], starts: Int64[np.ndarray, " windows"], count: int
    ) -> Shaped[Tensor, "windows _count ..."]:
        """Windows of rows, as they are kept.

        Args:
            clips: the clip of each window, by its place in the corpus.
            starts: its first row.
            count: rows in a window; those beyond a clip's end are zero, which is silence.

        Returns:
            ``[windows, count, *shape]``.

        Raises:
            IndexError: a window begins before its clip, or there is no such clip.
            FeatureCacheError: the rows of a clip are damaged, and cannot be computed again.
        """
        if len(clips) and not (clips.min() >= 0 and clips.max() < len(self) and starts.min() >= 0 and count >= 1):
            raise IndexError(
                f"windows of {count} rows of clips {clips.min()} to {clips.max()} from row {starts.min()} on: there "
                f"are clips 0 to {len(self) - 1}, their rows are counted from 0, and a window has a row or more"
            )
        if self._repair is not None and (unchecked := self._unchecked[clips]).any():
            self._check(self._repair, np.unique(clips[unchecked]))
        out = np.empty((len(clips), count, *self.form.shape), self.form.dtype)
        first = self._firsts[clips] + starts
        held = np.clip(self.lengths[clips] - starts, 0, count)
        # Slices, not one index array: a window lies in one piece, and is copied as such.
        for window, begin, rows in zip(out, first.tolist(), held.tolist(), strict=True):
            window[:rows] = self._rows[begin : begin + rows]
            if rows < count:
                window[rows:] = 0
        return torch.from_numpy(out)

    def _check(self, repair: ClipRepair, clips: Int64[np.ndarray, " some"]) -> None:
        """Compare clips with their checksums, and compute those that differ again."""
        for clip in clips.tolist():
            if not repair.is_intact(clip, self._rows):
                self._rows, self._firsts[clip] = repair.repaired(clip)
            self._unchecked[clip] = False

    def restore(self, kept: Tensor) -> Float[Tensor, ...]:
        """What `take` gave, as float32; on the device where it lies."""
        return self.form.restore(kept)

    def windows(self, size: int, hop: int) -> tuple[Int64[np.ndarray, " windows"], Int64[np.ndarray, " windows"]]:
        """Where windows of so many rows lie: those that end within their clip, from each clip's first row on.

        Args:
            size: rows in a window; a clip with fewer has one window, from its first row on.
            hop: rows from one window to the next.

        Returns:
            The clip of each window and its first row, clip by clip. A clip that could not be decoded has none.

        Raises:
            InvalidArgumentError: size or hop is less than a row.
        """
        if size < 1 or hop < 1:
            raise InvalidArgumentError(f"windows of {size} rows every {hop} rows: both must be at least 1")
        counts = np.where(self.lengths > 0, np.maximum(self.lengths - size, 0) // hop + 1, 0)
        clips = np.repeat(np.arange(len(self)), counts)
        before = np.repeat(np.cumsum(counts) - counts, counts)
        return clips, (np.arange(len(clips)) - before) * hop


@dataclass(frozen=True)
class CacheProgress:
    """How far preparing a corpus has come.

    Attributes:
        done: clips done.
        total: clips to do.
        path: the file of the last clip.
        name: which of several runs it is for.
        reason: why the last clip is left out; None: it is prepared.
    """

    done: int
    total: int
    path: str
    name: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class _Clip:
    path: str
    start: float
    end: float | None


class ClipRepair:
    """Checks clips of a corpus against their checksums, and decodes damaged ones again.

    Args:
        form: how the clips are kept.
        folder: the cache's.
        clips: of the corpus, in its order.
        keys: of every clip, or why it has none.
        kept: number of a clip in the corpus -> where its rows lie.
    """

    def __init__(
        self,
        form: Form,
        folder: Path,
        clips: Sequence[_Clip],
        keys: Sequence[bytes | Failed[str]],
        kept: Mapping[int, CachedClip],
    ) -> None:
        self._form = form
        self._folder = folder
        self._clips = clips
        self._keys = keys
        self._kept = kept

    def is_intact(self, number: int, rows: NDArray[Any]) -> bool:
        """Whether a clip is, among all rows, as it was written; so is one without rows."""
        return number not in self._kept or self._kept[number].is_intact(rows)

    def repaired(self, number: int) -> tuple[NDArray[Any], int]:
        """Decode a clip again; gives all rows, and the number of its first.

        Raises:
            FeatureCacheError: its file cannot be decoded, or is another than it was.
        """
        key = self._keys[number]
        assert isinstance(key, bytes)
        with closing(_store(self._form, self._folder)) as store:
            found = store.find([key]).get(key)
            # Another process, or another clip of the same content, may have been faster.
            if found is None or found == self._kept[number]:
                rows = self._decoded(self._clips[number], key)
                store.forget(key)
                store.add({key: rows})
            return store.mapped(), store.find([key])[key].first

    def _decoded(self, clip: _Clip, key: bytes) -> NDArray[Any]:
        _log.warning("%s: the rows of %s are damaged: it is decoded again", self._folder, clip.path)
        with as_cache_error(self._folder):
            now = content_hashes([clip.path], self._folder, 1)[clip.path]
        reason = now.reason if isinstance(now, Failed) else "it has changed since it was prepared"
        if _key(now, clip) == key:
            (rows,) = process([clip], partial(_decode, self._form), workers=1)
            if not isinstance(rows, Failed):
                return rows
            reason = rows.reason
        raise FeatureCacheError(
            f"the rows of {clip.path!r} in {str(self._folder)!r} are damaged, and it cannot be decoded again: "
            f"{reason}. Run again with the file in its place, or without it"
        )


def prepare(
    corpus: Corpus,
    form: Form,
    *,
    folder: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Callable[[CacheProgress], None] | None = None,
) -> FeatureDataset:
    """Decode and store the clips of a corpus that are not in the cache yet.

    The rows of a clip depend on its sound and the form alone, not on the workers, the order or the cache.

    Args:
        corpus: the clips.
        form: how they are kept.
        folder: where; ``prepared`` in the user's cache if not given (`soundloom.cache_folder`).
        workers: how many clips at a time; as many as there are processors if not given.
        progress: called after every clip that is decoded, and for every file that cannot be read.

    Raises:
        FeatureCacheError: the folder cannot be read or written.
    """
    began = time.monotonic()
    place = Path(folder) if folder is not None else cache_home() / "prepared"
    several = workers or os.cpu_count() or 1
    regions = zip(*(corpus.column(name) for name in ("path", "start", "end")), strict=True)
    clips = [_Clip(path, start or 0.0, end) for path, start, end in regions]
    with as_cache_error(place):
        hashes = content_hashes([clip.path for clip in clips], place, several)
    _report_unread(hashes, progress)
    keys = [_key(hashes[clip.path], clip) for clip in clips]
    store = _store(form, place)
    try:
        # Clips of the same bytes are decoded once.
        wanted = {key: clip for key, clip in zip(keys, clips, strict=True) if isinstance(key, bytes)}
        fresh, failed = 0, {}
        if len(store.find(wanted)) < len(wanted):
            with _turn(store.folder, wanted):
                found = store.find(wanted)
                missing = {key: clip for key, clip in wanted.items() if key not in found}
                failed = _fill(store, form, missing, several, progress)
                fresh = len(missing) - len(failed)
        found = store.find(wanted)
        rows = store.mapped()
    finally:
        store.close()
    failures: dict[int, Failed[str]] = {}
    kept: dict[int, CachedClip] = {}
    firsts, lengths = np.zeros((2, len(clips)), np.int64)
    for number, (key, clip) in enumerate(zip(keys, clips, strict=True)):
        if isinstance(key, Failed):
            failures[number] = key
        elif key in failed:
            failures[number] = Failed(clip.path, failed[key])
        else:
            kept[number] = found[key]
            firsts[number], lengths[number], _ = found[key]
    repair = ClipRepair(form, place, clips, keys, kept)
    took = time.monotonic() - began
    return FeatureDataset(form, rows, firsts, lengths, failures, fresh=fresh, seconds=took, repair=repair)


@contextmanager
def _turn(folder: Path, wanted: Iterable[bytes]) -> Iterator[None]:
    """Alone among the processes that prepare the same clips: the others wait, and then find them there.

    Processes that prepare other clips do not wait for these: the rows are safe without it (`row_store`), and it only
    keeps the ranks of a distributed run, say, from decoding everything once each.
    """
    name = hashlib.blake2b(b"".join(sorted(wanted)), digest_size=8).hexdigest()
    with as_cache_error(folder):
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.info("another process prepares the same clips in %s: waiting for it", folder)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fill(
    store: Rows, form: Form, missing: dict[bytes, _Clip], workers: int, progress: Callable[[CacheProgress], None] | None
) -> dict[bytes, str]:
    """Decode and keep clips; returns those that could not be decoded, and why."""
    failed: dict[bytes, str] = {}
    waiting: dict[bytes, NDArray[Any]] = {}
    since = time.monotonic()
    # Closed on the way out, so that no worker goes on decoding for a disk that is full.
    with closing(process(missing.values(), partial(_decode, form), workers=workers)) as outcomes:
        for done, (key, outcome) in enumerate(zip(missing, outcomes, strict=True), start=1):
            if isinstance(outcome, Failed):
                failed[key] = outcome.reason
            else:
                waiting[key] = outcome
            late = time.monotonic() - since > _BATCH_SECONDS
            if late or sum(rows.nbytes for rows in waiting.values()) > _BATCH_BYTES:
                store.add(waiting)
                waiting, since = {}, time.monotonic()
            if progress is not None:
                progress(CacheProgress(done, len(missing), missing[key].path, reason=failed.get(key)))
    store.add(waiting)
    return failed


def _decode(form: Form, clip: _Clip, av: audio.AvProcess) -> NDArray[Any]:
    """The rows of a clip."""
    return form.keep_blocks(audio.stream(clip.path, form.sample_rate, start=clip.start, end=clip.end, av=av))


def _report_unread(hashes: dict[str, bytes | Failed[str]], progress: Callable[[CacheProgress], None] | None) -> None:
    """Say which files cannot be read, and why."""
    for path, outcome in hashes.items():
        if progress is not None and isinstance(outcome, Failed):
            progress(CacheProgress(0, len(hashes), path, reason=outcome.reason))


def _key(content: bytes | Failed[str], clip: _Clip) -> bytes | Failed[str]:
    """What a clip is known by: the content of its file and the region of it."""
    if isinstance(content, Failed):
        return content
    return hashlib.blake2b(content + repr((clip.start, clip.end)).encode(), digest_size=16).digest()


def _store(form: Form, folder: Path) -> Rows:
    """The rows of a form, which another version of soundloom might compute otherwise."""
    about = {
        "soundloom": metadata.version("soundloom"),
        "dtype": form.dtype.str,
        "shape": list(form.shape),
        **form.settings(),
    }
    identity = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=12).hexdigest()
    return Rows(folder / identity, form.shape, form.dtype, about)
