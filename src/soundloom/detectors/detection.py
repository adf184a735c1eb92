"""Detection in recordings: windows streamed through a model, journalled, merged into events.

A long recording is divided into pieces of ten minutes that begin at windows, so that all workers share it; what a
window gives does not depend on its piece. After every block of 24 s (`soundloom.detectors.frame_windows`), or ten
seconds of windows that are embedded one by one, what is done is written to the journal: a run that was killed goes on
there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.detectors.calibration import Aim, OperatingPoint
from soundloom.detectors.events import ScoredWindows, events
from soundloom.detectors.frame_windows import BLOCK, embed_stream
from soundloom.detectors.recording_times import RecordingTimes
from soundloom.embedder import Embedder
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process
from soundloom.library import Deployments, RecordingFilter
from soundloom.library.indexing.scan import files_below
from soundloom.remote import absolute_location, file_status
from soundloom.row_journal import RowJournal

if TYPE_CHECKING:
    from soundloom.detectors.detector import Detector

__all__ = ["DetectionReport", "detect", "scored_windows"]

PIECE = 600.0
"""Seconds of a recording that a worker takes at once."""

NOTED = 10.0
"""Seconds of sound after which windows are noted in the journal."""

DEFAULT_AIM = Aim(probability=0.5)


@dataclass(frozen=True)
class DetectionReport:
    """What was found.

    Attributes:
        events: by file and start; the score of each is the highest probability of its windows.
        points: label -> its threshold, and the precision and recall that it is expected to reach.
        files: how many files were searched.
        seconds: of sound, in them.
        computed: seconds of sound that were decoded and embedded; less where a journal held the rest.
        failed: file -> why it could not be read.
    """

    events: tuple[Annotation, ...]
    points: dict[str, OperatingPoint]
    files: int
    seconds: float
    computed: float
    failed: dict[str, str]


@dataclass(frozen=True)
class _Piece:
    """Windows of a file that follow each other.

    Attributes:
        path: the file.
        stamp: its size and time of change.
        first: the number of the first window.
        count: how many windows; None: to the end of the file.
    """

    path: str
    stamp: tuple[int, int]
    first: int
    count: int | None


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
    progress: Callable[[float], None] | None = None,
) -> DetectionReport:
    """Find a detector's sounds in files and folders.

    Args:
        detector: what to find.
        sounds: folders, searched with their subfolders, and files.
        aim: what the thresholds are to reach; None: a probability of one half.
        model: the detector's model, if it is loaded already.
        where: site, hours and dates of the events; recordings of which nothing is meant are not searched.
        deployments: of the recordings; None: their sites are known by their names.
        workers: how many pieces of recordings at a time; None: one for each processor.
        journal: a folder for what is done, by which a run that was killed goes on; None: nothing is kept.
        progress: called with the seconds of sound done.

    Raises:
        ModelMismatchError: the model is not the one that the detector was trained with.
        ResourceError: the journal cannot be written.
    """
    points = {one.label: one.calibration.point(aim or DEFAULT_AIM) for one in detector.labels}
    failed: dict[str, str] = {}
    labels, thresholds = list(points), [point.threshold for point in points.values()]
    found: list[Annotation] = []
    seconds = computed = 0.0
    done = 0
    searched: Sequence[str | os.PathLike[str]] = sounds
    times = RecordingTimes(deployments or Deployments(), detector.decoding)
    if where:
        searched = [path for path in found_files(sounds, failed) if times.overlap(path, where)]
    every = scored_windows(
        detector, searched, failed, model=model, workers=workers, journal=journal, progress=progress
    )  # fmt: skip
    for whole in every:
        some = events(whole, labels, thresholds)
        found += [one for one in some if times.admit(one, where)] if where else some
        done, seconds, computed = done + 1, seconds + whole.duration, computed + whole.again
    # The thresholds stay; the intervals become those of as many windows as there were.
    windows = max(1, round(seconds / detector.hop))
    points = {one.label: one.calibration.point(aim or DEFAULT_AIM, windows) for one in detector.labels}
    return DetectionReport(tuple(found), points, done, seconds, computed, failed)


def scored_windows(
    detector: Detector,
    sounds: Sequence[str | os.PathLike[str]],
    failed: dict[str, str],
    *,
    model: Embedder | None = None,
    workers: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[ScoredWindows]:
    """The probabilities of all windows of files, file by file; arguments and errors are those of `detect`.

    Args:
        detector: what to find.
        sounds: folders and files.
        failed: to it is added which files cannot be read, and why.
        model: the detector's model.
        workers: how many pieces at a time.
        journal: a folder for what is done.
        progress: called with the seconds of sound done.
    """
    model = detector.load_model() if model is None else model
    pieces = [piece for path in found_files(sounds, failed) for piece in _pieces(path, detector, failed)]
    folder = None if journal is None else Path(journal).expanduser()

    def work(piece: _Piece, av: audio.AvProcess) -> ScoredWindows:
        return _scored(piece, detector, model, folder, av)

    seconds = 0.0
    results = process(pieces, work, workers=workers or os.cpu_count() or 1)
    for path, some in groupby(zip(pieces, results, strict=True), key=lambda pair: pair[0].path):
        outcomes = []
        for _, outcome in some:
            outcomes.append(outcome)
            if progress is not None and isinstance(outcome, ScoredWindows):
                progress(seconds + outcome.duration)
        reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Failed)]
        if reasons:
            failed[path] = reasons[0]
            continue
        whole = _joined([outcome for outcome in outcomes if isinstance(outcome, ScoredWindows)])
        seconds += whole.duration
        yield whole


def found_files(sounds: Sequence[str | os.PathLike[str]], failed: dict[str, str]) -> list[str]:
    """The audio files among files and in folders, as absolute paths in text, sorted.

    Args:
        sounds: folders, files and addresses.
        failed: to it is added which folders cannot be read, and why.
    """
    roots = [absolute_location(sound) for sound in sounds]
    return sorted(file.path for file in files_below(roots, failed))


def _pieces(path: str, detector: Detector, failed: dict[str, str]) -> Iterator[_Piece]:
    """A file in pieces; one piece where its length is not known for certain."""
    try:
        facts = audio.info(os_path(path), options=detector.decoding)
        status = file_status(os_path(path))
    except AudioError as error:
        failed[path] = error.reason
        return
    except OSError as error:
        failed[path] = f"cannot be looked at: {error.strerror}"
        return
    stamp = (status.size, status.mtime_ns)
    count = max(1, ceil(PIECE / detector.hop))
    first = 0
    # The last piece is long enough to hold the end of the file, whatever rule its last window follows, and the one
    # before it whole blocks.
    margin = 3 * detector.window + (BLOCK * detector.decoding.speed if detector.frames else 0.0)
    while facts.exact and facts.duration and (first + count) * detector.hop + margin < facts.duration:
        yield _Piece(path, stamp, first, count)
        first += count
    yield _Piece(path, stamp, first, None)


def _scored(
    piece: _Piece, detector: Detector, model: Embedder, folder: Path | None, av: audio.AvProcess
) -> ScoredWindows:
    """The windows of a piece, those in the journal and the others."""
    rate, speed = model.sample_rate, detector.decoding.speed
    # Samples of the sound as the model takes it: slowed down, a second of the file is several.
    size, step = (max(1, round(seconds * rate / speed)) for seconds in (detector.window, detector.hop))
    key = {
        "detector": detector.identity(), "path": piece.path, "stamp": piece.stamp,
        "first": piece.first, "count": piece.count,
    }  # fmt: skip
    with RowJournal(folder, key, len(detector.labels), suffix=".windows") as journal:
        begun = min(len(journal.done), piece.count or len(journal.done))
        # The last window of a file is known by its end: where it was done already, it is done again.
        begun = max(0, begun - 1) if piece.count is None else begun
        rows, ends = [journal.done[:begun]], []
        first = piece.first + begun
        count = None if piece.count is None else piece.count - begun
        if count is None or count:
            for vectors, until in _embedded(piece.path, detector, model, av, first, count, size, step):
                rows.append(detector.probabilities(vectors).astype(np.float32))
                journal.append(rows[-1][1:] if len(rows) == 2 and len(journal.done) > begun else rows[-1])
                ends.append(until)
    probabilities = np.concatenate(rows)
    starts = (piece.first + np.arange(len(probabilities))) * step
    stops = starts + size
    if ends:
        stops[-1] = ends[-1]
    again = ends[-1] - first * step if ends else 0
    return ScoredWindows(
        piece.path, starts / rate * speed, stops / rate * speed, probabilities.astype(np.float64), again / rate * speed
    )


def _embedded(
    path: str,
    detector: Detector,
    model: Embedder,
    av: audio.AvProcess,
    first: int,
    count: int | None,
    size: int,
    step: int,
) -> Iterator[tuple[np.ndarray, int]]:
    """Embeddings of windows that follow each other, some at a time, and the sample at which the last of these ends."""
    rate, speed = model.sample_rate, detector.decoding.speed
    start, end = first * step, None if count is None else (first + count - 1) * step + size
    if detector.frames:
        # Whole blocks, so that what a window gives does not depend on its piece.
        block = round(BLOCK * rate)
        start, end = start // block * block, None if end is None else ceil(end / block) * block
    blocks = audio.stream(
        os_path(path), rate, start=start / rate * speed, end=None if end is None else end / rate * speed,
        av=av, options=detector.decoding,
    )  # fmt: skip
    if detector.frames:
        yield from embed_stream(model, blocks, origin=start, first=first, size=size, step=step, count=count)
        return
    batch = max(1, int(NOTED * rate / speed / step))
    waiting: list[np.ndarray] = []
    until = start
    for segment in audio.segments(blocks, rate, size / rate, step / rate):
        waiting.append(model.embed_samples(segment.samples))
        until = start + round(segment.end * rate)
        if len(waiting) == batch:
            yield np.stack(waiting), until
            waiting = []
    if waiting:
        yield np.stack(waiting), until


def _joined(pieces: Sequence[ScoredWindows]) -> ScoredWindows:
    columns = [np.concatenate([getattr(one, name) for one in pieces]) for name in ("starts", "ends", "probabilities")]
    return replace(pieces[0], starts=columns[0], ends=columns[1], probabilities=columns[2],
                   again=sum(one.again for one in pieces))  # fmt: skip
