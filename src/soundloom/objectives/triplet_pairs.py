"""Index of training windows, and pairs among them: of one recording, or of one class.

A *recording* is a file. Clips cut from one file are the same recording, each at its place in time; clips that are files
of their own are recordings of their own, whatever group a corpus puts them in: some corpora group by instrument or
species, which only labels could say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from soundloom.corpora import Corpus, CorpusError
from soundloom.feature_cache import FeatureDataset

__all__ = ["Classmates", "Neighbours", "Recordings", "WindowIndex", "pick"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Recordings:
    """Where the clips of a corpus were cut from.

    Attributes:
        numbers: the recording of each clip.
        begins: where in it the clip begins, in seconds.
    """

    numbers: Int[np.ndarray, " clips"]
    begins: Float[np.ndarray, " clips"]

    @classmethod
    def of(cls, corpus: Corpus) -> Self:
        """A recording a file."""
        numbers = np.unique(np.array(corpus.column("path"), dtype=str), return_inverse=True)[1]
        return cls(numbers=numbers, begins=np.array([start or 0.0 for start in corpus.column("start")], dtype=float))


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowIndex:
    """Windows in order of recording and time.

    Attributes:
        clips: the clip of each.
        starts: its first row in the clip.
        recordings: its recording.
        times: where in the recording it begins, in rows.
        room: the last row at which a window of its clip may begin.
        frames: rows of each.
        hop: seconds from row to row.
    """

    clips: Int[np.ndarray, " windows"]
    starts: Int[np.ndarray, " windows"]
    recordings: Int[np.ndarray, " windows"]
    times: Int[np.ndarray, " windows"]
    room: Int[np.ndarray, " windows"]
    frames: int
    hop: float

    @classmethod
    def of(cls, dataset: FeatureDataset, recordings: Recordings, chosen: np.ndarray, frames: int, hop: float) -> Self:
        """Side by side from the start of each chosen clip."""
        clips, starts = dataset.windows(frames, frames)
        mine = np.isin(clips, chosen)
        clips, starts = clips[mine], starts[mine]
        times = np.round(recordings.begins[clips] / hop).astype(np.int64) + starts
        order = np.lexsort((times, recordings.numbers[clips]))
        clips, starts = clips[order], starts[order]
        return cls(
            clips=clips,
            starts=starts,
            recordings=recordings.numbers[clips].astype(np.int64),
            times=times[order],
            room=np.maximum(dataset.lengths[clips] - frames, 0),
            frames=frames,
            hop=hop,
        )

    def moved(
        self, anchors: np.ndarray, positives: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Starts of both, off the grid by up to half a window, by as much: what was apart stays apart."""
        half, starts = self.frames // 2, (self.starts[anchors], self.starts[positives])
        back = np.minimum.reduce([*starts, np.full(len(anchors), half)])
        on = np.minimum.reduce(
            [self.room[anchors] - starts[0], self.room[positives] - starts[1], np.full_like(back, half)]
        )
        by = generator.integers(-back, on, endpoint=True)
        return starts[0] + by, starts[1] + by


def pick(
    places: Int[np.ndarray, " places"],
    recordings: Int[np.ndarray, " windows"],
    count: int,
    generator: np.random.Generator,
    *,
    evenly: bool,
) -> Int[np.ndarray, " count"]:
    """So many windows of those at these places, rising: each as likely, or evenly from each recording."""
    if not evenly:
        return np.asarray(places[generator.integers(len(places), size=count)])
    begins = np.flatnonzero(np.diff(recordings[places], prepend=-1))
    sizes = np.diff(begins, append=len(places))
    chosen = generator.integers(len(begins), size=count)
    return np.asarray(places[begins[chosen] + generator.integers(sizes[chosen])])


class Neighbours:
    """Pairs of windows of a recording, near one another and not overlapping."""

    def __init__(self, windows: WindowIndex, delta_t: float | None) -> None:
        longest = int(windows.times.max())
        # |time(x_a) - time(x_p)| < delta_t.
        reach = longest if delta_t is None else min(longest, math.ceil(delta_t / windows.hop) - 1)
        # One rising number encodes recording and time, with more room between recordings than a pair may span.
        self.keys = np.unique(windows.recordings, return_inverse=True)[1] * (longest + reach + 1) + windows.times
        self.recordings, self.apart, self.reach = windows.recordings, windows.frames, reach
        before, after = self._reachable(np.arange(len(self.keys)))
        self.anchors = np.flatnonzero(before[1] + after[1])
        if not len(self.anchors):
            limit = "" if delta_t is None else f" that begin less than {delta_t} s from each other"
            raise CorpusError(
                f"no recording has two windows of {windows.frames * windows.hop:.2f} s{limit}, which the proximity "
                "sampler pairs: if this is a corpus of single events, set proximity to 0, else delta_t higher"
            )

    def sample(self, count: int, generator: np.random.Generator, *, evenly: bool) -> tuple[np.ndarray, np.ndarray]:
        """So many anchors, see `pick`, and their positives."""
        anchors = pick(self.anchors, self.recordings, count, generator, evenly=evenly)
        before, after = self._reachable(anchors)
        number = generator.integers(before[1] + after[1])
        return anchors, np.where(number < before[1], before[0] + number, after[0] + number - before[1])

    def _reachable(self, places: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """The windows before and after each that may be its positive: the first, and how many."""
        found = []
        for low, high in ((-self.reach, -self.apart), (self.apart, self.reach)):
            first = np.searchsorted(self.keys, self.keys[places] + low, side="left")
            last = np.searchsorted(self.keys, self.keys[places] + high, side="right")
            found.append((first, np.maximum(last - first, 0)))
        return found[0], found[1]


class Classmates:
    """Pairs of clips of a class, and a window of each."""

    def __init__(self, windows: WindowIndex, labels: np.ndarray) -> None:
        # Windows clip by clip: those of the c-th clip are at order[first[c]] and the size[c] - 1 places after it.
        clips, inverse, self.size = np.unique(windows.clips, return_inverse=True, return_counts=True)
        self.order = np.argsort(inverse, kind="stable")
        self.first = np.cumsum(self.size) - self.size
        # And clips class by class, in the same way, of the classes that have a pair.
        owners, members = np.nonzero(labels[clips].T)
        counts = np.bincount(owners, minlength=labels.shape[1])
        usable = np.flatnonzero(counts >= 2)
        if not len(usable) or np.count_nonzero(counts) < 2:
            raise CorpusError(
                f"the labelled sampler needs two classes, and one of two clips or more; {len(clips)} clips have "
                f"{np.count_nonzero(counts)} class(es), {len(usable)} of two clips or more"
            )
        self.members = members
        self.begin, self.count = (np.cumsum(counts) - counts)[usable], counts[usable]

    def sample(self, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """So many pairs: every class as likely, then every pair of its clips, then every window."""
        label = generator.integers(len(self.begin), size=count)
        one = generator.integers(self.count[label])
        # Another than the first, each as likely.
        other = (one + 1 + generator.integers(self.count[label] - 1)) % self.count[label]
        clips = (self.members[self.begin[label] + each] for each in (one, other))
        anchors, positives = (self.order[self.first[clip] + generator.integers(self.size[clip])] for clip in clips)
        return anchors, positives
