"""Events: neighbouring windows above a threshold, merged.

A window stands for the stretch around its middle that is nearer to it than to its neighbours: with a hop as long as
the window all of it. The first window of a recording stands for its beginning as well, the last one for its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from soundloom.annotations import Annotation

__all__ = ["ScoredWindows", "events"]


@dataclass(frozen=True, eq=False)
class ScoredWindows:
    """Windows of a recording that follow each other: of all of it, or of the hours that were asked for.

    Attributes:
        path: the file, as text.
        starts: where each begins, in seconds of the file.
        ends: where each ends.
        probabilities: of every label in each.
        again: seconds of sound that were decoded and embedded, not taken from a journal.
        duration: seconds of the recording.
    """

    path: str
    starts: Float[np.ndarray, " windows"]
    ends: Float[np.ndarray, " windows"]
    probabilities: Float[np.ndarray, "windows labels"]
    again: float
    duration: float

    @property
    def seconds(self) -> float:
        """Seconds of sound in the windows."""
        return float(self.ends[-1] - self.starts[0])

    def around(self, number: int, seconds: float) -> tuple[float, float]:
        """The stretch of some length around the middle of a window, within the recording; see `frame_windows`.

        Args:
            number: of the window.
            seconds: of the stretch; the window itself if it is not shorter.
        """
        start, end = float(self.starts[number]), float(self.ends[number])
        if seconds > end - start:
            start = max(0.0, min((start + end - seconds) / 2, self.duration - seconds))
            end = min(start + seconds, self.duration)
        return round(start, 6), round(end, 6)


def events(windows: ScoredWindows, labels: Sequence[str], thresholds: Sequence[float]) -> list[Annotation]:
    """The stretches of a recording in which a label is as probable as its threshold or more, by start.

    Args:
        windows: of the recording.
        labels: the names of the columns.
        thresholds: one for each label.
    """
    middles = (windows.starts + windows.ends) / 2
    edges = np.concatenate([windows.starts[:1], (middles[1:] + middles[:-1]) / 2, windows.ends[-1:]])
    found = []
    for column, (label, threshold) in enumerate(zip(labels, thresholds, strict=True)):
        probabilities = windows.probabilities[:, column]
        above = np.concatenate([[False], probabilities >= threshold, [False]])
        changes = np.flatnonzero(above[1:] != above[:-1])
        for first, after in zip(changes[::2], changes[1::2], strict=True):
            start, end = (round(float(edges[number]), 6) for number in (first, after))
            score = round(float(probabilities[first:after].max()), 6)
            found.append(Annotation(windows.path, start, end, label, score, windows.duration))
    return sorted(found, key=lambda one: (one.start, one.end, one.label))
