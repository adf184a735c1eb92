"""Windows to mark next: by doubt, by diversity, or at random.

A doubtful window is one whose probability is near one half. Diverse ones are chosen one by one among the most doubtful:
each has the largest product of doubt and distance from those chosen before (after Brinker 2003).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from soundloom.annotations import Annotation
from soundloom.detectors.call_density import UNCHECKED, density_sample
from soundloom.detectors.detector import Detector
from soundloom.detectors.events import ScoredWindows
from soundloom.detectors.training_windows import TrainingWindow, embed_windows
from soundloom.embedder import Embedder
from soundloom.errors import InvalidArgumentError
from soundloom.file_names import os_path

__all__ = ["CANDIDATES", "DENSITY", "RULES", "diverse", "next_examples", "windows_to_mark"]

RULES = ("diversity", "doubt", "random")
DENSITY = "density"
"""The rule of `soundloom.detectors.call_density`: windows of every score."""
CANDIDATES = 5
"""Of how many times as many doubtful windows diverse ones are chosen."""


def windows_to_mark(  # noqa: D417  (the other arguments are those of `next_examples`)
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
    """Windows for somebody to mark, by one of `RULES` or `DENSITY`; the other arguments are those of `next_examples`.

    Args:
        label: one of the detector's; None: its first.

    Raises:
        InvalidArgumentError: the detector has no such label; or too few windows for a density.
    """
    labels = [one.label for one in detector.labels]
    if label is not None and label not in labels:
        raise InvalidArgumentError(f"{label!r} is none of the detector's labels: {', '.join(labels)}")
    column = labels.index(label or labels[0])
    if by == DENSITY:
        return density_sample(windows, column, count, seed=seed)
    return next_examples(detector, windows, column, count, by=by, model=model, workers=workers, seed=seed)


def next_examples(
    detector: Detector,
    windows: Sequence[ScoredWindows],
    column: int,
    count: int,
    *,
    by: str,
    model: Embedder,
    workers: int = 1,
    seed: int = 0,
) -> list[Annotation]:
    """Windows whose marks would teach a detector most; those that overlap an example, or each other, are left out.

    Args:
        detector: what found the probabilities.
        windows: of the recordings.
        column: the number of the label.
        count: how many, at most.
        by: one of `RULES`.
        model: the detector's.
        workers: how many files at a time.
        seed: of the drawing at random.

    Returns:
        Regions by file and start, not checked yet.
    """
    every = [(one, number) for one in windows for number in range(len(one.starts))]
    probabilities = np.array([one.probabilities[number, column] for one, number in every])
    doubt = 1 - 2 * np.abs(probabilities - 0.5)
    keys = np.random.default_rng(seed).random(len(every)) if by == "random" else doubt
    wanted = count * CANDIDATES if by == "diversity" else count
    chosen: list[int] = []
    # Examples may be named relative to another folder.
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for example in detector.examples:
        taken[os.path.abspath(os_path(example.path))].append((example.start, example.end))
    places = {one.path: os.path.abspath(os_path(one.path)) for one in windows}
    for candidate in np.argsort(-keys, kind="stable").tolist():
        one, number = every[candidate]
        start, end = float(one.starts[number]), float(one.ends[number])
        if len(chosen) < wanted and all(end <= first or last <= start for first, last in taken[places[one.path]]):
            taken[places[one.path]].append((start, end))
            chosen.append(candidate)
    if by == "diversity" and len(chosen) > count:
        chosen = _diverse(detector, [every[each] for each in chosen], chosen, doubt, count, model, workers)
    regions = [
        Annotation(one.path, round(float(one.starts[number]), 6), round(float(one.ends[number]), 6), UNCHECKED,
                   round(float(probabilities[each]), 6), one.duration)
        for each in chosen
        for one, number in [every[each]]
    ]  # fmt: skip
    return sorted(regions, key=lambda one: (one.path, one.start))


def _diverse(
    detector: Detector,
    places: Sequence[tuple[ScoredWindows, int]],
    numbers: Sequence[int],
    doubt: np.ndarray,
    count: int,
    model: Embedder,
    workers: int,
) -> list[int]:
    stretches = [TrainingWindow(one.path, float(one.starts[n]), float(one.ends[n]), None) for one, n in places]
    lengths = {one.path: one.duration for one, _ in places}
    found = embed_windows(stretches, model, lengths, decoding=detector.decoding, workers=workers)
    kept = {window: row for row, window in enumerate(found.windows)}
    there = [(number, kept[window]) for number, window in zip(numbers, stretches, strict=True) if window in kept]
    vectors = detector.space.transform(found.embeddings)[:, : detector.space.decorrelated]
    rows = vectors[[row for _, row in there]]
    chosen = diverse(rows, doubt[[number for number, _ in there]], count)
    return [there[each][0] for each in chosen]


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
