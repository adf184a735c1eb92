"""What marking gives: precision and recall of a detector against how many windows somebody has marked.

    python -m benchmarks.marking [--audio FOLDER] [--recordings 6] [--draws 3] [--json OUT] [--quick]

Recordings are composed as in `benchmarks.composed_recordings`: those in which windows are marked of ESC-50's folds 1
and 2, those on which the detector is measured of folds 3 and 4, and no two recordings share a call's clip. Five windows
with a call and five without are drawn to begin with. Then a person, played by the known calls, marks as many windows
again as are marked already, until 320 are: chosen as by ``soundloom detector sample`` (doubt and diversity), or at
random. After each round the detector learns from all marks, and the windows of the other recordings are scored.

A window counts as a call's if the call lies in the middle half of it, or half of the call does. Some six seconds a
window, 30 minutes of marking are 300 windows. Nothing was chosen by these figures, and fold 5 is not used.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import soundloom
from benchmarks.composed_recordings import CALLS, composed
from benchmarks.detectors import esc50_folder
from benchmarks.timing import write_json
from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.detectors import Calibration
from soundloom.detectors.background import find_background
from soundloom.detectors.calibration import Marked
from soundloom.detectors.embedding_space import EmbeddingSpace
from soundloom.detectors.frame_windows import embed_stream
from soundloom.detectors.learner import Examples, LinearScore, learn
from soundloom.detectors.next_examples import CANDIDATES, diverse
from soundloom.detectors.training_windows import MOST_UNLABELLED
from soundloom.library.tags.logistic_regression import average_precision

WINDOW, HOP = 3.0, 1.5
FIRST, ROUNDS = 5, (10, 20, 40, 80, 160, 320)
RULES = ("diversity", "random")


@dataclass(frozen=True)
class Recordings:
    """Windows of some recordings: embeddings, the recording of each, and label -> which hold a call."""

    embeddings: np.ndarray
    groups: np.ndarray
    truth: dict[str, np.ndarray]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marking", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--audio", type=Path, help="the folder of ESC-50")
    parser.add_argument("--recordings", type=int, default=6, help="of ten minutes, to mark and to test (%(default)s)")
    parser.add_argument("--draws", type=int, default=3, help="of the first windows (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one recording, draw and call: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    folder = esc50_folder(options.audio)
    if folder is None:
        return
    count, draws, calls = (1, 1, CALLS[:1]) if options.quick else (options.recordings, options.draws, CALLS)
    with tempfile.TemporaryDirectory() as temporary:
        marked = embedded(folder, (1, 2), Path(temporary), 0, count)
        tested = embedded(folder, (3, 4), Path(temporary), 1, count)
    model = soundloom.load()
    space = EmbeddingSpace.fit(
        marked.embeddings, dict(model.parts), dict(model.balance), find_background(model.name, model)
    )
    vectors, others = space.transform(marked.embeddings), space.transform(tested.embeddings)
    rows = [
        {"call": call, "rule": rule, "draw": draw, **row}
        for call in calls
        for draw in range(draws)
        for rule in RULES
        for row in marking(call, rule, draw, marked, vectors, others, tested.truth[call], space.decorrelated)
    ]
    report(rows)
    if options.json is not None:
        write_json(options.json, rows)


def embedded(folder: Path, folds: tuple[int, int], out: Path, kind: int, count: int) -> Recordings:
    """Compose recordings, and embed all their windows as a detector does."""
    model = soundloom.load()
    size, step = round(WINDOW * model.sample_rate), round(HOP * model.sample_rate)
    vectors, groups = [], []
    truth: dict[str, list[np.ndarray]] = {call: [] for call in CALLS}
    for number in range(count):
        file = out / f"{kind}-{number}.flac"
        calls = composed(folder, folds, file, [0, 2 + kind, number], part=(number, count))
        blocks = audio.stream(file, model.sample_rate)
        found = list(embed_stream(model, blocks, origin=0, first=0, sizes=[size], step=step, count=None))
        some = np.concatenate([rows[0] for rows, _ in found])
        vectors.append(some)
        groups += [number] * len(some)
        for label in CALLS:
            truth[label].append(holding([one for one in calls if one.label == label], len(some)))
    return Recordings(
        np.concatenate(vectors), np.array(groups), {label: np.concatenate(some) for label, some in truth.items()}
    )


def holding(calls: Sequence[Annotation], windows: int) -> np.ndarray:
    """Which windows hold a call: in their middle half, or at least half of it."""
    starts = np.arange(windows) * HOP
    found = np.zeros(windows, np.bool_)
    for one in calls:
        inside = np.minimum(one.end, starts + WINDOW) - np.maximum(one.start, starts)
        middle = (one.start < starts + 0.75 * WINDOW) & (one.end > starts + 0.25 * WINDOW)
        found |= (inside > 0) & (middle | (inside >= (one.end - one.start) / 2))
    return found


def marking(
    call: str,
    rule: str,
    draw: int,
    recordings: Recordings,
    vectors: np.ndarray,
    others: np.ndarray,
    truth: np.ndarray,
    decorrelated: int,
) -> list[dict[str, float]]:
    """The rounds of one person: figures of the other recordings after each."""
    rng, known = np.random.default_rng([draw, CALLS.index(call)]), recordings.truth[call]
    marked = np.concatenate(
        [rng.choice(np.flatnonzero(known == yes), FIRST, replace=False) for yes in (True, False)]
    ).tolist()
    rows, probabilities = [], np.full(len(known), 0.5)
    for wanted in ROUNDS:
        if len(marked) < wanted:
            marked += chosen(rule, wanted - len(marked), marked, probabilities, vectors[:, :decorrelated], rng)
        score, calibration = learned(np.array(marked), known, recordings.groups, vectors, decorrelated)
        probabilities = calibration.probabilities(score.scores(vectors))
        reached = calibration.probabilities(score.scores(others))
        detected = reached >= 0.5
        rows.append(
            {
                "marked": len(marked),
                "calls": int(known[marked].sum()),
                "ap": average_precision(reached, truth),
                "precision": float(truth[detected].mean()) if detected.any() else float("nan"),
                "recall": float(detected[truth].mean()),
            }
        )
    return rows


def chosen(
    rule: str, count: int, marked: list[int], probabilities: np.ndarray, vectors: np.ndarray, rng: np.random.Generator
) -> list[int]:
    """Windows to mark next; none twice."""
    left = np.setdiff1d(np.arange(len(probabilities)), marked)
    if rule == "random":
        return [int(one) for one in rng.choice(left, min(count, len(left)), replace=False)]
    doubt = 1 - 2 * np.abs(probabilities[left] - 0.5)
    candidates = np.argsort(-doubt, kind="stable")[: count * CANDIDATES]
    return [int(left[candidates[one]]) for one in diverse(vectors[left[candidates]], doubt[candidates], count)]


def learned(
    marked: np.ndarray, known: np.ndarray, groups: np.ndarray, vectors: np.ndarray, decorrelated: int
) -> tuple[LinearScore, Calibration]:
    """What is learned from the marked windows; the others are unlabelled."""
    yes, no = marked[known[marked]], marked[~known[marked]]
    rest = np.setdiff1d(np.arange(len(known)), marked)
    share = min(1.0, MOST_UNLABELLED / len(rest))
    rest = np.sort(np.random.default_rng(0).permutation(rest)[:MOST_UNLABELLED])
    score = learn(
        Examples(vectors[yes], groups[yes], vectors[no], groups[no], vectors[rest], groups[rest], decorrelated)
    )
    of_these = Marked(np.ones(len(yes), np.bool_), np.ones(len(no), np.bool_), share)
    return score, Calibration.fit(score.positive, score.negative, score.unlabelled, marked=of_these)


def report(rows: Sequence[dict[str, Any]]) -> None:
    for call in dict.fromkeys(row["call"] for row in rows):
        table = Table("marked", *RULES, title=f"{call}: calls among them; average precision; precision, recall at 0.5")
        for wanted in ROUNDS:
            cells = []
            for rule in RULES:
                some = [row for row in rows if (row["call"], row["rule"], row["marked"]) == (call, rule, wanted)]
                mean = {
                    key: float(np.nanmean([row[key] for row in some])) for key in ("calls", "ap", "precision", "recall")
                }
                cells.append(f"{mean['calls']:.0f}; {mean['ap']:.2f}; {mean['precision']:.2f}, {mean['recall']:.2f}")
            table.add_row(str(wanted), *cells)
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
