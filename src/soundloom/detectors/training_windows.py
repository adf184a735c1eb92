"""Windows of sound that a detector learns from: marked regions, and unlabelled stretches of recordings.

A region that is not longer than the window is embedded in a window around its middle, or a little off it as when
recordings are searched; a longer one in as many windows as it takes. Unlabelled windows are drawn evenly over the rest
of the marked recordings and over the background; none of them touches a region that anything was said of.

Windows of all lengths that lie near each other are of one *stretch* of their recording, which goes through the model
once, as when it is searched (`soundloom.detectors.frame_windows`).
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
from soundloom.detectors.frame_windows import MARGIN, WindowTrack, with_last
from soundloom.embedder import Embedder
from soundloom.errors import AudioError
from soundloom.file_names import os_path
from soundloom.file_pool import Failed, process

__all__ = [
    "MOST_UNLABELLED",
    "TrainingWindow",
    "WindowVectors",
    "embed_windows",
    "file_lengths",
    "fitting_window",
    "training_windows",
]

MOST_UNLABELLED = 1200
"""Unlabelled windows that are drawn."""

_GAP = 4.0
"""Seconds, as the model takes them, between windows of one stretch: going through them costs less than another one."""

_STRETCH = 600.0
"""Seconds, as the model takes them, after which a stretch takes no more windows, so that all workers share a file."""

_SHORTEST, _LONGEST = 1.0, 10.0
_ROOM = 1.25


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

    def only(self, windows: Iterable[TrainingWindow]) -> WindowVectors:
        """Some of the windows, in the order given; without those that could not be embedded."""
        row = {window: number for number, window in enumerate(self.windows)}
        found = [window for window in windows if window in row]
        return WindowVectors(tuple(found), self.embeddings[[row[window] for window in found]], self.failed)


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
    windows: Iterable[TrainingWindow],
    model: Embedder,
    lengths: Mapping[str, float],
    *,
    decoding: audio.DecodeOptions,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> WindowVectors:
    """Embed windows stretch by stretch: as recordings are searched, or each by itself where windows share no frames.

    Args:
        windows: what to embed; the same one is embedded once.
        model: the embedder.
        lengths: file -> its seconds.
        decoding: how files are decoded.
        workers: how many stretches at a time.
        progress: called with the windows done and their number.
    """
    wanted = list(dict.fromkeys(windows))
    speed = decoding.speed
    margin = MARGIN * speed if model.shares_frames else 0.0
    stretches = _stretches(wanted, _GAP * speed + 2 * margin, _STRETCH * speed)

    def work(stretch: Sequence[TrainingWindow], av: audio.AvProcess) -> list[Float[np.ndarray, " dim"]]:
        return _embed_stretch(stretch, model, lengths, margin, decoding, av)

    rows: dict[TrainingWindow, Float[np.ndarray, " dim"]] = {}
    failed: dict[str, str] = {}
    done = 0
    if progress is not None:
        progress(done, len(wanted))
    for stretch, result in zip(stretches, process(stretches, work, workers=workers), strict=True):
        if isinstance(result, Failed):
            failed[stretch[0].path] = result.reason
        else:
            rows.update(zip(stretch, result, strict=True))
        done += len(stretch)
        if progress is not None:
            progress(done, len(wanted))
    # A file is taken whole or not at all.
    kept = tuple(window for window in wanted if window.path not in failed)
    vectors = np.stack([rows[window] for window in kept]) if kept else np.zeros((0, model.dim), np.float32)
    return WindowVectors(kept, vectors, failed)


def _stretches(windows: Iterable[TrainingWindow], gap: float, longest: float) -> list[list[TrainingWindow]]:
    """Windows of one file that begin up to a gap after the others have ended, in order."""
    found: list[list[TrainingWindow]] = []
    end = 0.0
    for window in sorted(windows, key=lambda one: (one.path, one.start, one.end)):
        last = found[-1] if found else []
        if last and last[0].path == window.path and window.start <= min(end + gap, last[0].start + longest):
            last.append(window)
            end = max(end, window.end)
        else:
            found.append([window])
            end = window.end
    return found


def _embed_stretch(
    stretch: Sequence[TrainingWindow],
    model: Embedder,
    lengths: Mapping[str, float],
    margin: float,
    decoding: audio.DecodeOptions,
    av: audio.AvProcess,
) -> list[Float[np.ndarray, " dim"]]:
    """Embeddings of the windows of a stretch, by their starts; ``margin`` seconds on either side belong to it."""
    path, rate = stretch[0].path, model.sample_rate
    begin = max(0.0, stretch[0].start - margin)
    end = min(max(one.end for one in stretch) + margin, lengths[path])
    places = [
        tuple(round((second - begin) / decoding.speed * rate) for second in (one.start, one.end)) for one in stretch
    ]
    track, found = WindowTrack(model, 0), list[Float[np.ndarray, " dim"]]()
    blocks = audio.stream(os_path(path), rate, start=begin, end=end, av=av, options=decoding)
    for block, is_last in with_last(blocks):
        track.add(block, last=is_last)
        while len(found) < len(places) and (is_last or track.end >= places[len(found)][1]):
            found.append(track.embed(*places[len(found)]))
        if len(found) < len(places):
            track.forget(places[len(found)][0])
    return found


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
