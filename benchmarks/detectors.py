"""Detectors from few examples against the plain mean of the same examples, and what their thresholds promise.

    python -m benchmarks.detectors [--audio FOLDER] [--classes 20] [--draws 20] [--test 5] [--background none]
                                   [--json OUT] [--quick]
    python -m benchmarks.detectors --test 1 2 3 4 --draws 5 [--examples 20]

Of each of 20 ESC-50 classes, drawn from all 50, five clips and five clips of other classes are drawn from the folds
that are not tested, 20 times. The other clips of these folds are unlabelled background, some 27 of the class among
them. Every clip of the tested fold is then ranked: average precision of the detector, of the plain mean of the five
embeddings (cosine), and of the mean in the library's own similarity. Besides: the expected calibration error in ten
bins of the probabilities of all tested clips, and how often the precision and recall that the threshold for a
precision of 0.9 reaches lie within the interval that was stated with it. Recordings are kept apart by the folds,
examples within a draw by source recording. The space's statistics, which know no labels, are of all clips of these
folds and of the model's background, in which nothing is of ESC-50.

The calibration error of few probabilities is mostly chance: of one draw some fifteen clips are likelier than 0.05, in
ten bins. So it is computed over all draws together, and beside it what it would be if the probabilities were exact.

Embeddings are the default model's, one a clip, kept in a cache folder between runs. Whatever was chosen by experiment
was chosen with a fold of 1 to 4 as the test (the second command; of 20 examples, too); fold 5 is tested for the figures
in docs/measurements.md alone. Draws of a class have the same clips to find, so that shares of draws are as uncertain as
so few classes are: their intervals are of classes drawn with replacement.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import soundloom
from benchmarks.timing import write_json
from soundloom.cache_folder import cache_home
from soundloom.detectors import Aim, Calibration
from soundloom.detectors.background import find_background
from soundloom.detectors.calibration import Marked
from soundloom.detectors.embedding_space import EmbeddingSpace
from soundloom.detectors.learner import BLENDS, Examples, learn
from soundloom.library.tags.logistic_regression import average_precision

AIM = Aim(precision=0.9)
BINS = 10


@dataclass(frozen=True)
class Clips:
    """ESC-50's clips: embeddings, classes, folds and source recordings."""

    embeddings: np.ndarray
    kinds: np.ndarray
    folds: np.ndarray
    sources: np.ndarray


def esc50_folder(given: Path | None) -> Path | None:
    """The folder of ESC-50: as given, or where the tests look for it; None, after saying so, if it is not there."""
    shared = Path(os.environ.get("SOUNDLOOM_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
    folder = given or shared / "esc50"
    if not (folder / "meta" / "esc50.csv").is_file():
        print(f"there is no ESC-50 in {folder}: name its folder with --audio")
        return None
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description="measure detectors")
    parser.add_argument("--audio", type=Path, help="the folder of ESC-50")
    parser.add_argument("--classes", type=int, default=20, help="how many classes (%(default)s)")
    parser.add_argument("--examples", type=int, default=5, help="clips of the class, and of others (%(default)s)")
    parser.add_argument("--draws", type=int, default=20, help="draws of examples for each (%(default)s)")
    parser.add_argument("--test", type=int, nargs="+", default=[5], help="the folds that are tested, in turn (5)")
    parser.add_argument(
        "--background", choices=("folds", "none"), default="folds", help="the unlabelled clips, or none (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="two classes and draws: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    folder = esc50_folder(options.audio)
    if folder is None:
        return
    clips = embedded(folder)
    classes, draws = (2, 2) if options.quick else (options.classes, options.draws)
    names = np.random.default_rng(0).permutation(np.unique(clips.kinds))[:classes]
    rows = []
    for name in sorted(names):
        rng = np.random.default_rng([7, int(np.flatnonzero(np.unique(clips.kinds) == name)[0])])
        found = [
            measured(clips, name, test, rng, count=options.examples, background=options.background == "folds")
            for test in options.test
            for _ in range(draws)
        ]
        rows.append({"class": str(name), "draws": found, **means(found)})
    report(rows)
    if options.json is not None:
        write_json(options.json, rows)


def embedded(folder: Path) -> Clips:
    """The clips of ESC-50 and their embeddings, from the cache if it has them by this model."""
    model = soundloom.load()
    with (folder / "meta" / "esc50.csv").open(newline="") as file:
        listed = {Path(row["filename"]).stem: row for row in csv.DictReader(file)}
    paths = sorted(path for path in (folder / "audio").iterdir() if path.stem in listed)
    cache = cache_home() / "benchmarks" / f"esc50-{model.fingerprint()[:16]}-{len(paths)}.npy"
    if not cache.is_file():
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, np.stack([model.embed(path) for path in paths]))
    rows = [listed[path.stem] for path in paths]
    return Clips(
        np.load(cache),
        np.array([row["category"] for row in rows]),
        np.array([int(row["fold"]) for row in rows]),
        np.array([row["src_file"] for row in rows]),
    )


def measured(
    clips: Clips, name: str, test: int, rng: np.random.Generator, *, count: int, background: bool
) -> dict[str, float]:
    """One draw: what detector and means reach on the tested fold."""
    # Fold 5 is never learned from: with another fold as the test it plays no part.
    tested, learned = clips.folds == test, np.flatnonzero(~np.isin(clips.folds, (test, 5)))
    yes = rng.choice(learned[clips.kinds[learned] == name], count, replace=False)
    no = rng.choice(learned[clips.kinds[learned] != name], count, replace=False)
    rest = np.setdiff1d(learned, np.concatenate([yes, no])) if background else learned[:0]
    model = soundloom_parts()
    decorrelated, vectors = vectors_of(clips, learned if background else learned[:0])
    groups = np.unique(clips.sources, return_inverse=True)[1]
    score = learn(
        Examples(vectors[yes], groups[yes], vectors[no], groups[no], vectors[rest], groups[rest], decorrelated)
    )
    # The examples were taken out of the clips that are unlabelled.
    marked = Marked(np.ones(count, np.bool_), np.ones(count, np.bool_)) if background else None
    calibration = Calibration.fit(score.positive, score.negative, score.unlabelled, marked=marked)
    truth, scores = clips.kinds[tested] == name, score.scores(vectors[tested])
    found = {
        "detector": average_precision(scores, truth),
        "mean": average_precision(plain_mean(clips.embeddings, yes)[tested], truth),
        "library_mean": average_precision(library_mean(clips.embeddings, learned, yes, *model)[tested], truth),
        "blend": float(BLENDS.index(score.blend)),
    }
    probabilities = calibration.probabilities(scores)
    PROBABILITIES.append((probabilities, truth))
    return found | promised(calibration, scores, truth) | errors(probabilities, truth)


PROBABILITIES: list[tuple[np.ndarray, np.ndarray]] = []
"""Of every draw, and whether the clips are of the class."""


def vectors_of(clips: Clips, background: np.ndarray) -> tuple[int, np.ndarray]:
    """How many columns are decorrelated, and the clips in the space of a background, which is the same in all draws."""
    key = background.tobytes()
    if key not in _SPACES:
        sounds = find_background(soundloom.load().name, soundloom.load())
        space = EmbeddingSpace.fit(clips.embeddings[background], *soundloom_parts(), sounds)
        _SPACES[key] = space.decorrelated, space.transform(clips.embeddings)
    return _SPACES[key]


_SPACES: dict[bytes, tuple[int, np.ndarray]] = {}


def soundloom_parts() -> tuple[dict[str, slice], dict[str, float]]:
    """Columns of the model's parts, and how much they count."""
    if not _PARTS:
        model = soundloom.load()
        _PARTS.append((dict(model.parts), dict(model.balance)))
    return _PARTS[0]


_PARTS: list[tuple[dict[str, slice], dict[str, float]]] = []


def plain_mean(embeddings: np.ndarray, yes: np.ndarray) -> np.ndarray:
    """Cosine to the mean of the examples' embeddings, each of unit length."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(unit @ unit[yes].mean(axis=0))


def library_mean(
    embeddings: np.ndarray, known: np.ndarray, yes: np.ndarray, parts: dict[str, slice], balance: dict[str, float]
) -> np.ndarray:
    """The similarity by which a library of the known clips ranks, to the mean of the examples."""
    values = (embeddings - embeddings[known].mean(axis=0)) / embeddings[known].std(axis=0)
    total = np.zeros(len(values))
    for part, columns in parts.items():
        of = values[:, columns] / np.linalg.norm(values[:, columns], axis=1, keepdims=True)
        total += balance.get(part, 1.0) * (of @ of[yes].mean(axis=0))
    return total


def promised(calibration: Calibration, scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """What the threshold for the aim promised, and what it reached; precision is NaN where nothing was detected."""
    point = calibration.point(AIM, len(truth))
    detected = calibration.probabilities(scores) >= point.threshold
    precision = float(truth[detected].mean()) if detected.any() else float("nan")
    recall = float(detected[truth].mean())
    return {
        "reachable": float(point.reached),
        "promised": point.precision.value,
        "precision": precision,
        "precision_above": float(precision > point.precision.high),
        "recall_above": float(recall > point.recall.high),
        "precision_within": within(precision, point.precision.low, point.precision.high),
        "precision_width": point.precision.high - point.precision.low,
        "recall": recall,
        "recall_within": within(recall, point.recall.low, point.recall.high),
        "recall_width": point.recall.high - point.recall.low,
    }


def within(value: float, low: float, high: float) -> float:
    return float("nan") if np.isnan(value) else float(low <= value <= high)


def errors(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Expected calibration error in bins of equal width, of all clips and of those that are likelier than 0.05."""
    return {
        "calibration": calibration_error(probabilities, truth),
        "calibration_likely": calibration_error(probabilities[probabilities > 0.05], truth[probabilities > 0.05]),
    }


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    if not len(truth):
        return 0.0
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = [abs((probabilities[bins == each] - truth[bins == each]).sum()) for each in range(BINS)]
    return float(sum(gaps) / len(truth))


def means(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the draws, leaving out those that have none."""
    columns = {name: np.array([one[name] for one in found]) for name in found[0]}
    return {
        name: float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
        for name, values in columns.items()
    }


def report(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("class", *(name for name, _ in COLUMNS), title="means over the draws")
    for row in rows:
        table.add_row(row["class"], *(f"{row[name]:.3f}" for _, name in COLUMNS))
    whole = {name: float(np.nanmean([row[name] for row in rows])) for _, name in COLUMNS}
    table.add_row("all", *(f"{whole[name]:.3f}" for _, name in COLUMNS), style="bold")
    Console(width=150).print(table)
    gains = np.array([row["detector"] - row["mean"] for row in rows])
    print(
        f"detector over the plain mean: {gains.mean():+.3f} on average, {gains.min():+.3f} in the worst class, "
        f"{int((gains < -0.01).sum())} of {len(gains)} classes below it by more than 0.01"
    )
    for name in ("precision", "recall"):
        print(f"{name} within the stated interval: {share_of_draws(rows, f'{name}_within')}")
    probabilities, truth = (np.concatenate(each) for each in zip(*PROBABILITIES, strict=True))
    exact = np.random.default_rng(0).random(len(truth)) < probabilities
    for lowest in (0.0, 0.05):
        of = probabilities >= lowest
        found, chance = calibration_error(probabilities[of], truth[of]), calibration_error(probabilities[of], exact[of])
        print(f"calibration error over all draws, p >= {lowest}: {found:.3f}; of exact probabilities {chance:.3f}")
    alone = [calibration_error(some[some > 0.05], truth[some > 0.05]) for some, truth in simulated(PROBABILITIES)]
    print(f"calibration error of one draw, p > 0.05, of exact probabilities: {np.mean(alone):.3f}")


def share_of_draws(rows: Sequence[dict[str, Any]], name: str) -> str:
    """The share of draws of which something holds, and its interval by the classes; draws that have none are left out.

    Args:
        rows: of the classes, each with its draws.
        name: of a number of every draw, 1 where it holds, NaN where there is none.
    """
    by_class = [[one[name] for one in row["draws"] if not np.isnan(one[name])] for row in rows]
    sums, counts = (np.array([of(some) for some in by_class], float) for of in (sum, len))
    drawn = np.random.default_rng(0).integers(len(rows), size=(2000, len(rows)))
    low, high = np.nanquantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    return f"{sums.sum() / counts.sum():.1%} of {counts.sum():.0f} draws ({low:.0%} to {high:.0%} by classes)"


def simulated(draws: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The probabilities of every draw with truths drawn by them."""
    rng = np.random.default_rng(1)
    for probabilities, _ in draws:
        yield probabilities, rng.random(len(probabilities)) < probabilities


COLUMNS = [
    ("detector", "detector"), ("plain mean", "mean"), ("library mean", "library_mean"), ("blend", "blend"),
    ("promised", "promised"), ("precision", "precision"), ("within", "precision_within"), ("width", "precision_width"),
    ("recall", "recall"), ("within", "recall_within"), ("width", "recall_width"), ("calibration", "calibration"),
    ("likely ones", "calibration_likely"),
]  # fmt: skip


if __name__ == "__main__":
    main()
