"""Scores, thresholds and probabilities of detectors, on drawn clusters."""

from __future__ import annotations

import json

import numpy as np
import pytest

from soundloom.detectors import Aim, Calibration
from soundloom.detectors.calibration import Marked
from soundloom.detectors.embedding_space import EmbeddingSpace
from soundloom.detectors.learner import BLENDS, Examples, learn
from soundloom.errors import InvalidArgumentError
from soundloom.library.tags.logistic_regression import average_precision


def clusters(seed: int, *, near: float) -> tuple[Examples, np.ndarray, np.ndarray]:
    """Five examples, unlabelled sounds of which one in fifty is of the same kind, and a test of 500."""
    rng = np.random.default_rng(seed)
    direction = np.zeros(24)
    direction[3] = near

    def some(count: int, yes: np.ndarray) -> np.ndarray:
        # Six directions in which all sounds differ much, whatever they are.
        spread = np.where(np.arange(24) // 6 == 2, 3.0, 1.0)
        return (spread * rng.normal(size=(count, 24)) + yes[:, None] * direction).astype(np.float32)

    unlabelled, tested = (rng.random(count) < 0.02 for count in (1000, 500))
    vectors = some(5, np.ones(5)), some(5, np.zeros(5)), some(1000, unlabelled)
    space = EmbeddingSpace.fit(vectors[2], {"all": slice(0, 24)}, {})
    groups = np.arange(5), np.arange(5) + 5, np.arange(1000) + 10
    arrays = [array for pair in zip(map(space.transform, vectors), groups, strict=True) for array in pair]
    return Examples(*arrays, space.decorrelated), space.transform(some(500, tested)), tested


def test_a_detector_is_better_than_the_mean_of_its_examples_and_calibrated() -> None:
    gains, errors, shares = [], [], []
    for seed in range(4):
        examples, vectors, truth = clusters(seed, near=4.5)
        score = learn(examples)
        mean = vectors @ np.pad(examples.positive.mean(axis=0)[24:], (24, 0))
        gains.append(average_precision(score.scores(vectors), truth) - average_precision(mean, truth))
        calibration = Calibration.fit(score.positive, score.negative, score.unlabelled)
        errors.append(abs(calibration.probabilities(score.scores(vectors)).mean() - truth.mean()))
        shares.append(calibration.frequency.value)
    assert min(gains) > -0.01
    assert np.mean(gains) > 0.1
    assert max(errors) < 0.03
    assert 0.005 < np.mean(shares) < 0.06


def test_scores_do_not_depend_on_their_company() -> None:
    examples, vectors, _ = clusters(0, near=4.0)
    score = learn(examples)
    alone = np.concatenate([score.scores(vectors[row : row + 1]) for row in range(20)])
    np.testing.assert_array_equal(alone, score.scores(vectors[:20]))
    assert score.blend in BLENDS


def test_thresholds_follow_their_aim() -> None:
    rng = np.random.default_rng(0)
    positive = rng.normal(5, 1, 20)
    others = np.concatenate([rng.exponential(0.7, 980), rng.normal(5, 1, 20)])
    calibration = Calibration.fit(positive, others[:0], others)
    assert calibration.frequency.low <= 0.02 <= calibration.frequency.high
    low, high = calibration.point(Aim(precision=0.5)), calibration.point(Aim(precision=0.8))
    assert low.threshold < high.threshold
    assert low.recall.value >= high.recall.value
    assert high.precision.value >= 0.8
    assert high.precision.low < high.precision.value < high.precision.high
    assert calibration.point(Aim(recall=0.95)).recall.value >= 0.95
    assert np.all(np.diff(calibration.probabilities(np.linspace(-5, 9, 200))) >= 0)
    again = Calibration.from_data(json.loads(json.dumps(calibration.to_data())))
    assert again.point(Aim(precision=0.8)) == high


def test_intervals_hold_what_a_threshold_reaches_and_probabilities_are_calibrated() -> None:
    """Of detectors whose scores differ as those of other sounds do, from five examples each."""
    rng = np.random.default_rng(0)
    inside, gaps = [], []
    for _ in range(30):
        mean, share = rng.normal(3.5, 0.8), float(np.exp(rng.normal(-4, 0.8)))

        def windows(count: int, mean: float = mean, share: float = share) -> tuple[np.ndarray, np.ndarray]:
            truth = rng.random(count) < share
            return np.where(truth, rng.normal(mean, 1, count), rng.exponential(0.7, count) - 0.7), truth

        positive, (others, _), (scores, truth) = rng.normal(mean - 0.3, 1, 5), windows(1000), windows(500)
        calibration = Calibration.fit(positive, others[:0], others)
        point = calibration.point(Aim(recall=0.7), len(scores))
        probabilities = calibration.probabilities(scores)
        detected = probabilities >= point.threshold
        if truth.any():
            inside.append(point.recall.low <= detected[truth].mean() <= point.recall.high)
        if detected.any():
            inside.append(point.precision.low <= truth[detected].mean() <= point.precision.high)
        likely = probabilities > 0.05
        gaps.append((probabilities[likely].sum() - truth[likely].sum(), likely.sum()))
    assert np.mean(inside) > 0.9
    difference, count = np.sum(gaps, axis=0)
    assert abs(difference) / count < 0.1


@pytest.mark.parametrize("given", [{}, {"precision": 0.9, "recall": 0.9}, {"precision": 0.0}, {"recall": 1.1}])
def test_an_aim_is_one_number_from_0_to_1(given: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="one aim"):
        Aim(**given)


def test_marking_what_is_doubtful_does_not_make_a_detector_too_sure() -> None:
    """The windows that resemble the sound most are marked not to be it, and so are no longer unlabelled."""
    rng = np.random.default_rng(3)
    others, positive = rng.exponential(0.7, 2000), rng.normal(3.5, 1.0, 40)
    every = np.concatenate([others, positive])
    hardest = np.argsort(-others)[:300]
    left, negative = np.delete(others, hardest), others[hardest]

    def promised(negatives: int) -> float:
        """How many windows the probabilities say hold the sound, over how many do."""
        marked = Marked(np.ones(40, np.bool_), np.arange(300) < negatives)
        return float(Calibration.fit(positive, negative, left, marked=marked).probabilities(every).sum()) / 40

    assert 0.7 < promised(300) < 1.5
    assert promised(0) > 2
