"""Windows to mark next: by doubt, by diversity, or at random.

A doubtful window is one whose probability is near one half. Diverse ones are chosen one by one among the most doubtful:
each has the largest product of doubt and distance from those chosen before (after Brinker 2003).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from soundloom.annotations import UNMARKED, Annotation
from soundloom.detectors.call_density import density_sample
from soundloom.detectors.detector import Detector
from soundloom.detectors.events import ScoredWindows
from soundloom.detectors.label_detector import LabelDetector
from soundloom.detectors.training_windows import TrainingWindow, embed_windows
from soundloom.embedder import Embedder
from soundloom.file_names import os_path

__all__ = ["CANDIDATES", "DENSITY", "RULES", "diverse", "windows_to_mark"]

RULES = ("diversity", "doubt", "random")
DENSITY = "density"
"""The rule of `soundloom.detectors.call_density`: windows of every score."""
CANDIDATES = 5
"""Of how many times as many doubtful windows diverse ones are chosen."""


def windows_to_mark(
    detector: Detector,
    windows: Sequence[ScoredWindows],
    label: str | None,
    count: int,
    *,
    by: str,
    model: Embedder,
    workers: int = 1,
    seed: int = 0,
) -> list[Annotation]:
    """Windows for somebody to mark; none overlaps an example or another one, but for those of a density.

    Args:
        detector: what found the probabilities.
        windows: of the recordings.
        label: one of the detector's; None: its first.
        count: how many, at most.
        by: one of `RULES`, or `DENSITY`.
        model: the detector's.
        workers: how many files at a time.
        seed: of what is drawn at random.

    Returns:
        Regions by file and start, not checked yet.

    Raises:
        InvalidArgumentError: the detector has no such label; or too few windows for a density.
    """
    column = detector.column_of(label)
    found = detector.labels[column]
    if by == DENSITY:
        return density_sample(windows, column, found.window, count, seed=seed)
    every = [
        Annotation(one.path, *one.around(number, found.window), UNMARKED, float(one.probabilities[number, column]),
                   one.duration)
        for one in windows
        for number in range(len(one.starts))
    ]  # fmt: skip
    doubt = np.array([1 - 2 * abs((one.score or 0.0) - 0.5) for one in every])
    keys = np.random.default_rng(seed).random(len(every)) if by == "random" else doubt
    order = np.argsort(-keys, kind="stable").tolist()
    chosen = _apart(every, order, count * CANDIDATES if by == "diversity" else count, detector.examples)
    if by == "diversity" and len(chosen) > count:
        chosen, vectors = _embedded([every[each] for each in chosen], chosen, detector, found, model, workers)
        chosen = [chosen[each] for each in diverse(vectors, doubt[chosen], count)]
    regions = [replace(every[each], score=round(every[each].score or 0.0, 6)) for each in chosen]
    return sorted(regions, key=lambda one: (one.path, one.start))


def _apart(every: Sequence[Annotation], order: Sequence[int], wanted: int, examples: Sequence[Annotation]) -> list[int]:
    """The first of some windows in an order that overlap neither each other nor an example."""
    # Examples may be named relative to another folder.
    absolute = {path: os.path.abspath(os_path(path)) for path in {one.path for one in (*every, *examples)}}
    taken: dict[str, list[Annotation]] = defaultdict(list)
    for example in examples:
        taken[absolute[example.path]].append(example)
    chosen: list[int] = []
    for number in order:
        one = every[number]
        others = taken[absolute[one.path]]
        if len(chosen) < wanted and all(one.end <= other.start or other.end <= one.start for other in others):
            others.append(one)
            chosen.append(number)
    return chosen


def _embedded(
    windows: Sequence[Annotation],
    numbers: Sequence[int],
    detector: Detector,
    label: LabelDetector,
    model: Embedder,
    workers: int,
) -> tuple[list[int], Float[np.ndarray, "rows dim"]]:
    """The numbers of the windows that could be embedded, and their vectors."""
    stretches = {TrainingWindow(one.path, one.start, one.end, None): number
                 for one, number in zip(windows, numbers, strict=True)}  # fmt: skip
    lengths = {one.path: one.duration or one.end for one in windows}
    found = embed_windows(list(stretches), model, lengths, decoding=detector.decoding, workers=workers)
    vectors = label.space.transform(found.embeddings)[:, : label.space.decorrelated]
    return [stretches[window] for window in found.windows], vectors


def diverse(vectors: Float[np.ndarray, "rows dim"], doubt: Float[np.ndarray, " rows"], count: int) -> list[int]:
    """Rows that are doubtful and unlike each other, the most doubtful first.

    Args:
        vectors: of the windows.
        doubt: of each, from 0 to 1.
        count: how many, at most.
    """
    weights = np.maximum(doubt, 1e-3)
    chosen = [int(weights.argmax())]
    nearest = np.linalg.norm(vectors - vectors[chosen[0]], axis=1)
    while len(chosen) < min(count, len(vectors)):
        chosen.append(int((weights * nearest).argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(vectors - vectors[chosen[-1]], axis=1))
    return chosen
