"""Detection in recordings: windows streamed through a model, journalled, merged into events.

A long recording is divided into pieces of ten minutes that begin at windows, so that all workers share it; what a
window gives does not depend on its piece. Where hours or dates are asked for, only pieces of these are decoded. After
every block of 24 s (`soundloom.detectors.frame_windows`), what is done is written to the journal: a run that was killed
goes on there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import ceil, inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.detectors.calibration import Aim, OperatingPoint
from soundloom.detectors.events import ScoredWindows, events
from soundloom.detectors.frame_windows import BLOCK, LEAD, MARGIN, embed_stream, lookback, reach
from soundloom.embedder import Embedder
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process
from soundloom.library import Deployments, RecordingFilter
from soundloom.library.indexing.scan import files_below
from soundloom.library.recording_times import RecordingTimes
from soundloom.remote import absolute_location, file_status
from soundloom.row_journal import RowJournal
from soundloom.system_errors import reason_of

if TYPE_CHECKING:
    from soundloom.detectors.detector import Detector

__all__ = ["DetectionReport", "detect", "scored_windows"]

PIECE = 600.0
"""Seconds of a recording that a worker takes at once."""

_ROUNDING = 1e-6
_LIKELY = 0.8
"""Share of a length that is estimated, which a file surely has."""

DEFAULT_AIM = Aim(probability=0.5)


@dataclass(frozen=True)
class DetectionReport:
    """What was found.

    Attributes:
        events: by file and start; the score of each is the highest probability of its windows. Where their site, or the
            time of recording, is known, it is among their columns.
        points: label -> its threshold, and the precision and recall that it is expected to reach.
        files: how many files were searched.
        seconds: of sound, in them.
        computed: seconds of sound that were decoded and embedded; less where a journal held the rest.
        failed: file -> why it could not be read.
        unread: the same of files outside of the site, hours and dates that are meant, which nothing is lost without.
    """

    events: tuple[Annotation, ...]
    points: dict[str, OperatingPoint]
    files: int
    seconds: float
    computed: float
    failed: dict[str, str]
    unread: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Piece:
    """Windows of a file that follow each other.

    Attributes:
        path: the file.
        stamp: its size and time of change.
        stretch: the number of the stretch of the file that is searched without a gap.
        first: the number of the first window.
        count: how many windows; None: to the end of the file.
        until: second of the file by which the windows begin that are meant.
        duration: of the file in seconds, as its header says; None: it does not.
    """

    path: str
    stamp: tuple[int, int]
    stretch: int
    first: int
    count: int | None
    until: float
    duration: float | None


def detect(
    detector: Detector,
    sounds: Sequence[str | os.PathLike[str]],
    aim: Aim | None = None,
    *,
    model: Embedder | None = None,
    where: RecordingFilter | None = None,
    deployments: Deployments | None = None,
    workers: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> DetectionReport:
    """Find a detector's sounds in files and folders.

    Args:
        detector: what to find.
        sounds: folders, searched with their subfolders, and files.
        aim: what the thresholds are to reach; None: a probability of one half.
        model: the detector's model, if it is loaded already.
        where: site, hours and dates of the events; what does not belong to these is not decoded.
        deployments: of the recordings; None: their sites are known by their names.
        workers: how many pieces of recordings at a time; None: one for each processor.
        journal: a folder for what is done, by which a run that was killed goes on; None: nothing is kept.
        progress: called with the seconds of sound done, and of all that is searched.

    Raises:
        ModelMismatchError: the model is not the one that the detector was trained with.
        ResourceError: the journal cannot be written.
    """
    points = {one.label: one.calibration.point(aim or DEFAULT_AIM) for one in detector.labels}
    failed: dict[str, str] = {}
    unread: dict[str, str] = {}
    labels, thresholds = list(points), [point.threshold for point in points.values()]
    found: list[Annotation] = []
    seconds = computed = 0.0
    searched: set[str] = set()
    every = scored_windows(
        detector, sounds, failed, unread, model=model, where=where, deployments=deployments, workers=workers,
        journal=journal, progress=progress,
    )  # fmt: skip
    for stretch in every:
        found += events(stretch, labels, thresholds)
        searched.add(stretch.path)
        seconds, computed = seconds + stretch.seconds, computed + stretch.again
    found = RecordingTimes(deployments or Deployments(), detector.decoding).of(found)
    # The thresholds stay; the intervals become those of as many windows as there were.
    windows = max(1, round(seconds / detector.hop))
    points = {one.label: one.calibration.point(aim or DEFAULT_AIM, windows) for one in detector.labels}
    return DetectionReport(tuple(found), points, len(searched), seconds, computed, failed, unread)


def scored_windows(
    detector: Detector,
    sounds: Sequence[str | os.PathLike[str]],
    failed: dict[str, str],
    unread: dict[str, str] | None = None,
    *,
    model: Embedder | None = None,
    where: RecordingFilter | None = None,
    deployments: Deployments | None = None,
    workers: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Iterator[ScoredWindows]:
    """The probabilities of windows of files, by file; of each its stretches that are meant, which is all of it if not.

    Arguments and errors are those of `detect`.

    Args:
        detector: what to find.
        sounds: folders and files.
        failed: to it is added which files cannot be read, and why.
        unread: to it is added the same of files that are not meant.
        model: the detector's model.
        where: site, hours and dates in which windows begin.
        deployments: of the recordings.
        workers: how many pieces at a time.
        journal: a folder for what is done.
        progress: called with the seconds of sound done, and of all that is searched.
    """
    model = detector.load_model() if model is None else model
    times = RecordingTimes(deployments or Deployments(), detector.decoding)
    outside: dict[str, str] = {} if unread is None else unread
    pieces = [
        piece
        for path in found_files(sounds, failed)
        for piece in _pieces(path, detector, times.spans(path, where, outside) if where else [(0.0, inf)], failed)
    ]
    folder = None if journal is None else Path(journal).expanduser()

    def work(piece: _Piece, av: audio.AvProcess) -> ScoredWindows | None:
        return _scored(piece, detector, model, folder, av)

    done, total = 0.0, sum(_seconds(piece, detector.hop) for piece in pieces)
    if progress is not None:
        progress(done, total)
    results = process(pieces, work, workers=workers or os.cpu_count() or 1)
    outcomes = zip(pieces, results, strict=True)
    for (path, _), some in groupby(outcomes, key=lambda pair: (pair[0].path, pair[0].stretch)):
        found = []
        for _, outcome in some:
            if isinstance(outcome, Failed):
                failed.setdefault(path, outcome.reason)
            elif outcome is not None:
                found.append(outcome)
                done += outcome.seconds
                if progress is not None:
                    progress(done, max(done, total))
        if found and path not in failed:
            yield _joined(found)


def found_files(sounds: Sequence[str | os.PathLike[str]], failed: dict[str, str]) -> list[str]:
    """The audio files among files and in folders, as absolute paths in text, sorted.

    Args:
        sounds: folders, files and addresses.
        failed: to it is added which folders cannot be read, and why.
    """
    roots = [absolute_location(sound) for sound in sounds]
    return sorted(file.path for file in files_below(roots, failed))


def _pieces(
    path: str, detector: Detector, spans: Sequence[tuple[float, float]], failed: dict[str, str]
) -> Iterator[_Piece]:
    """The windows of a file that begin in some stretches of it, in pieces; the last one where the length is uncertain.

    Pieces begin at multiples of their length, so that a journal serves runs of other hours as well.
    """
    if not spans:
        return
    try:
        facts = audio.info(os_path(path), options=detector.decoding)
        status = file_status(os_path(path))
    except AudioError as error:
        failed[path] = error.reason
        return
    except OSError as error:
        failed[path] = f"cannot be looked at: {reason_of(error)}"
        return
    duration, stamp = facts.duration, (status.size, status.mtime_ns)
    size = max(1, ceil(PIECE / detector.hop))
    # The last piece is long enough to hold the end of the file, whatever rule its last window follows, and the one
    # before it whole blocks.
    margin = 3 * max(detector.windows) + (BLOCK * detector.decoding.speed if detector.frames else 0.0)
    certain = 0.0 if duration is None else duration if facts.exact else _LIKELY * duration
    for stretch, (start, end) in enumerate(spans):
        first = ceil(start / detector.hop - _ROUNDING)
        last = inf if end == inf else ceil(end / detector.hop - _ROUNDING)
        while first < last:
            after = int(min(last, (first // size + 1) * size))
            known = (facts.exact or end < inf) and after * detector.hop + margin < certain
            yield _Piece(path, stamp, stretch, first, after - first if known else None, end, duration)
            if not known:
                break
            first = after


def _seconds(piece: _Piece, hop: float) -> float:
    """About how many seconds of sound a piece has."""
    start = piece.first * hop
    if piece.count is not None:
        return piece.count * hop
    return max(0.0, min(piece.duration or start, piece.until) - start)


def _scored(
    piece: _Piece, detector: Detector, model: Embedder, folder: Path | None, av: audio.AvProcess
) -> ScoredWindows | None:
    """The windows of a piece, those in the journal and the others; None where none begins in what is meant."""
    rate, speed = model.sample_rate, detector.decoding.speed
    # Samples of the sound as the model takes it: slowed down, a second of the file is several.
    *sizes, step = (max(1, round(seconds * rate / speed)) for seconds in (*detector.windows, detector.hop))
    key = {
        "detector": detector.identity(), "path": piece.path, "stamp": piece.stamp,
        "first": piece.first, "count": piece.count,
    }  # fmt: skip
    with RowJournal(folder, key, len(detector.labels), suffix=".windows") as journal:
        kept = min(len(journal.done), piece.count or len(journal.done))
        # The last window of a file is known by its end: where it was done already, it is done again.
        begun = max(0, kept - 1) if piece.count is None else kept
        rows, ends = [journal.done[:begun]], []
        first = piece.first + begun
        count = None if piece.count is None else piece.count - begun
        if count is None or count:
            for vectors, until in _embedded(piece.path, detector, model, av, first, count, sizes, step):
                rows.append(detector.probabilities(vectors).astype(np.float32))
                journal.append(rows[-1][1:] if len(rows) == 2 and len(journal.done) > begun else rows[-1])
                ends.append(until)
    probabilities = np.concatenate(rows)
    starts = (piece.first + np.arange(len(probabilities))) * step
    stops = starts + sizes[0]
    if ends:
        stops[-1] = ends[-1]
    again = max(0, ends[-1] - (piece.first + kept) * step) if len(probabilities) > kept else 0
    # An event begins where a window is nearer than the one before.
    meant = int(((starts + (sizes[0] - step) / 2) / rate * speed < piece.until).sum())
    if not meant:
        return None
    end = float(stops[-1] / rate * speed)
    # Whoever reads to the end of a file knows better than its header where that is.
    duration = end if piece.count is None or piece.duration is None else piece.duration
    return ScoredWindows(
        piece.path, starts[:meant] / rate * speed, stops[:meant] / rate * speed,
        probabilities[:meant].astype(np.float64), again / rate * speed, duration,
    )  # fmt: skip


def _embedded(
    path: str,
    detector: Detector,
    model: Embedder,
    av: audio.AvProcess,
    first: int,
    count: int | None,
    sizes: Sequence[int],
    step: int,
) -> Iterator[tuple[np.ndarray, int]]:
    """Embeddings of windows that follow each other, some at a time, and the sample at which the last of these ends."""
    rate, speed = model.sample_rate, detector.decoding.speed
    # Whole blocks, so that what a window gives does not depend on its piece.
    block, lead, margin = (round(seconds * rate) for seconds in (BLOCK, LEAD, MARGIN))
    start = max(0, first * step - lookback(sizes)) // block * block
    end = None if count is None else ceil(((first + count - 1) * step + reach(sizes)) / block) * block + margin
    blocks = audio.stream(
        os_path(path), rate, start=max(0, start - lead) / rate * speed, end=None if end is None else end / rate * speed,
        av=av, options=detector.decoding,
    )  # fmt: skip
    yield from embed_stream(
        model, blocks, origin=start, first=first, sizes=sizes, step=step, count=count, shared=detector.frames
    )


def _joined(pieces: Sequence[ScoredWindows]) -> ScoredWindows:
    columns = [np.concatenate([getattr(one, name) for one in pieces]) for name in ("starts", "ends", "probabilities")]
    return replace(pieces[-1], starts=columns[0], ends=columns[1], probabilities=columns[2],
                   again=sum(one.again for one in pieces))  # fmt: skip
