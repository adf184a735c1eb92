"""Windows of sound that a detector learns from: marked regions, and unlabelled stretches of recordings.

A region that is not longer than the window is embedded in a window around its middle, or a little off it as when
recordings are searched; a longer one in as many windows as it takes. Unlabelled windows are drawn evenly over the rest
of the marked recordings and over the background; none of them touches a region that anything was said of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float

from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.counted import counted
from soundloom.detectors.frame_windows import MARGIN, WindowTrack
from soundloom.embedder import Embedder
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process

__all__ = [
    "MOST_UNLABELLED",
    "TrainingWindow",
    "WindowVectors",
    "beyond_ends",
    "embed_windows",
    "file_lengths",
    "fitting_window",
    "training_windows",
]

MOST_UNLABELLED = 1200
"""Unlabelled windows that are drawn."""

_SHORTEST, _LONGEST = 1.0, 10.0
_ROOM = 1.25
_TOLERANCE = 0.1
"""Seconds by which tables and headers may disagree."""


@dataclass(frozen=True)
class TrainingWindow:
    """A stretch of a file, and what it is known to hold.

    Attributes:
        path: the file, as text.
        start: in seconds of the file.
        end: in seconds of the file.
        labels: what is in it; None where nothing is known.
    """

    path: str
    start: float
    end: float
    labels: frozenset[str] | None


@dataclass(frozen=True, eq=False)
class WindowVectors:
    """Windows that could be embedded, and their embeddings.

    Attributes:
        windows: in the order asked for.
        embeddings: a row each.
        failed: file -> why it could not be read.
    """

    windows: tuple[TrainingWindow, ...]
    embeddings: Float[np.ndarray, "windows dim"]
    failed: Mapping[str, str]


def fitting_window(annotations: Sequence[Annotation], speed: float = 1.0) -> float:
    """Seconds of a window that suits the calls of a label: somewhat more than half of them last, from 1 s to 10 s.

    Args:
        annotations: the calls, in seconds of the file.
        speed: at which the model takes them: of bats slowed down to a tenth, windows are a tenth of a second or more.
    """
    suiting = _ROOM * float(np.median([one.end - one.start for one in annotations])) / speed
    # Half seconds: windows of a few lengths are easier to compare.
    return round(speed * min(_LONGEST, max(_SHORTEST, ceil(round(2 * suiting, 6)) / 2)), 9)


def training_windows(
    positive: Sequence[Annotation],
    negative: Sequence[Annotation],
    background: Iterable[str],
    lengths: Mapping[str, float],
    window: float,
    hop: float,
) -> list[TrainingWindow]:
    """The windows to embed.

    Args:
        positive: regions of the sounds, by their labels.
        negative: regions that hold none of them; their label may be empty.
        background: files of which nothing is known.
        lengths: file -> its seconds, of every file that was marked or is background.
        window: seconds of a window.
        hop: seconds from one window to the next when recordings are searched; calls are then a quarter of it off the
            middle of the nearest window, on average, and so are those that are learned from, in turn.
    """
    said = [(one, frozenset([one.label])) for one in positive] + [(one, frozenset[str]()) for one in negative]
    windows = []
    for number, (one, labels) in enumerate(said):
        length = lengths.get(one.path)
        shift = hop / 4 * (0, -1, 1)[number % 3] if labels else 0.0
        if length is not None:
            windows += [
                TrainingWindow(one.path, *times, labels) for times in _around(one.start, one.end, window, length, shift)
            ]
    marked: dict[str, list[Annotation]] = defaultdict(list)
    for one, _ in said:
        marked[one.path].append(one)
    free = []
    for path in sorted({*marked, *background} & set(lengths)):
        free += [TrainingWindow(path, *times, None) for times in _free(marked[path], window, lengths[path])]
    drawn = np.random.default_rng(0).permutation(len(free))[:MOST_UNLABELLED]
    return windows + [free[number] for number in sorted(drawn.tolist())]


def beyond_ends(annotations: Sequence[Annotation], lengths: Mapping[str, float]) -> dict[str, str]:
    """Files with regions that reach beyond their ends, and what became of these.

    Args:
        annotations: regions.
        lengths: file -> its seconds.
    """
    found: dict[str, list[Annotation]] = defaultdict(list)
    for one in annotations:
        if one.end > lengths.get(one.path, one.end) + _TOLERANCE:
            found[one.path].append(one)
    said = {}
    for path, some in found.items():
        left_out = sum(one.start >= lengths[path] for one in some)
        parts = [
            f"{left_out} left out" if left_out else "",
            f"{len(some) - left_out} cut" if left_out < len(some) else "",
        ]
        said[path] = (
            f"{counted(len(some), 'region')} beyond its end at {lengths[path]:g} s ({', '.join(filter(None, parts))}): "
            "are they of this file, and in seconds?"
        )
    return said


def _around(start: float, end: float, window: float, length: float, shift: float) -> list[tuple[float, float]]:
    """Windows that cover a region, within a file of that length."""
    end = min(end, length)
    if start >= length:
        return []
    count = max(1, ceil((end - start) / window - 0.25))
    step = (end - start) / count
    middles = [start + (number + 0.5) * step for number in range(count)]
    firsts = [max(0.0, min(middle + shift - window / 2, length - window)) for middle in middles]
    return [(first, min(first + window, length)) for first in firsts]


def _free(marked: Sequence[Annotation], window: float, length: float) -> list[tuple[float, float]]:
    """Windows side by side that touch no marked region; a file shorter than a window is one."""
    if length <= window:
        return [] if marked else [(0.0, length)]
    starts = np.arange(0.0, length - window + 1e-9, window)
    free = np.ones(len(starts), np.bool_)
    for one in marked:
        free &= (starts + window <= one.start) | (starts >= one.end)
    return [(float(start), float(start) + window) for start in starts[free]]


def embed_windows(
    windows: Sequence[TrainingWindow],
    model: Embedder,
    lengths: Mapping[str, float],
    *,
    decoding: audio.DecodeOptions,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> WindowVectors:
    """Embed windows file by file: as recordings are searched (`soundloom.detectors.frame_windows`), or each by itself.

    Args:
        windows: what to embed.
        model: the embedder.
        lengths: file -> its seconds.
        decoding: how files are decoded.
        workers: how many files at a time.
        progress: called with the files done and their number.
    """
    by_path: dict[str, list[int]] = defaultdict(list)
    for number, window in enumerate(windows):
        by_path[window.path].append(number)

    rate, margin = model.sample_rate, MARGIN * decoding.speed if model.shares_frames else 0.0

    def work(path: str, av: audio.AvProcess) -> list[Float[np.ndarray, " dim"]]:
        found = []
        for one in (windows[number] for number in by_path[path]):
            start, end = max(0.0, one.start - margin), min(one.end + margin, lengths[path])
            samples = audio.read(os_path(path), rate, start=start, end=end, av=av, options=decoding)
            track = WindowTrack(model, 0)
            track.add(samples, last=True)
            first, last = (round((second - start) / decoding.speed * rate) for second in (one.start, one.end))
            found.append(track.embed(first, last))
        return found

    rows: dict[int, Float[np.ndarray, " dim"]] = {}
    failed: dict[str, str] = {}
    for done, (path, result) in enumerate(zip(by_path, process(by_path, work, workers=workers), strict=True), start=1):
        if isinstance(result, Failed):
            failed[path] = result.reason
        else:
            rows.update(zip(by_path[path], result, strict=True))
        if progress is not None:
            progress(done, len(by_path))
    order = sorted(rows)
    vectors = np.stack([rows[number] for number in order]) if order else np.zeros((0, model.dim), np.float32)
    return WindowVectors(tuple(windows[number] for number in order), vectors, failed)


def file_lengths(paths: Iterable[str], decoding: audio.DecodeOptions) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of files by their headers, and of those that cannot be read why; a length that none says is decoded.

    Args:
        paths: files.
        decoding: how they are decoded.
    """
    lengths: dict[str, float] = {}
    failed: dict[str, str] = {}
    for path in paths:
        try:
            seconds = audio.info(os_path(path), options=decoding).duration
            if seconds is None:
                seconds = sum(map(len, audio.stream(os_path(path), 16_000, options=decoding))) / 16_000 * decoding.speed
            lengths[path] = seconds
        except AudioError as error:
            failed[path] = error.reason
    return lengths, failed
