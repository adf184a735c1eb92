"""Label of a detector: what finds it in windows of one length, and how well, by examples that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from soundloom.detectors.background import Background
from soundloom.detectors.calibration import Calibration, Interval, Marked
from soundloom.detectors.embedding_space import EmbeddingSpace
from soundloom.detectors.learner import Blend, Examples, learn
from soundloom.detectors.training_windows import WindowVectors
from soundloom.embedder import Embedder
from soundloom.library.tags.logistic_regression import average_precision, wilson_interval

__all__ = ["BLOCKS", "LabelDetector", "Quality", "average_precision_interval", "learn_labels"]

BLOCKS = (60.0, 30.0, 15.0, 7.5)
"""Seconds of the blocks of time that are held out in turn where all examples are of one recording: the longest that
divide them in five, or the shortest."""

_ENOUGH = 40
"""Unlabelled windows from which on the sounds of the background are no negatives."""

_DRAWS = 200
_FEW = 5


@dataclass(frozen=True)
class Quality:
    """How well held-out examples were found.

    Attributes:
        average_precision: mean precision at every held-out example, among negative and unlabelled windows; None where
            nothing could be held out.
        held_out: what was held out in turn: ``recordings``, ``blocks of time`` or ``nothing``.
        positive: windows that hold the sound.
        negative: windows that are marked not to.
        unlabelled: windows that were presumed not to.
    """

    average_precision: Interval | None
    held_out: str
    positive: int
    negative: int
    unlabelled: int


@dataclass(frozen=True, eq=False)
class LabelDetector:
    """What finds one label.

    Attributes:
        label: the label.
        window: seconds that are looked at together.
        space: where scores are computed.
        weights: of the score in that space.
        bias: added to it.
        blend: what the score is made of: how much of what.
        calibration: from scores to probabilities.
        quality: how well it finds held-out examples.
    """

    label: str
    window: float
    space: EmbeddingSpace
    weights: Float[np.ndarray, " rank"]
    bias: float
    blend: Blend
    calibration: Calibration
    quality: Quality

    def probabilities(self, embeddings: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, " rows"]:
        """The probability of the label in windows with these embeddings."""
        scores = np.einsum("ij,j->i", self.space.transform(embeddings), self.weights) + self.bias
        return self.calibration.probabilities(scores)


def learn_labels(
    labels: Sequence[str],
    seconds: float,
    found: WindowVectors,
    model: Embedder,
    sounds: Background | None,
    population: set[str],
    drawn: float,
) -> list[LabelDetector]:
    """Learn to find labels whose windows are of one length.

    Args:
        labels: what is found.
        seconds: of the windows.
        found: the windows.
        model: the embedder.
        sounds: of all kinds.
        population: the recordings that are as those that are searched: what is frequent in those of which nothing is
            known is so there.
        drawn: the share of their windows that were drawn as unlabelled ones.
    """
    known = np.array([window.path in population for window in found.windows], np.bool_)
    unlabelled = np.array([window.labels is None for window in found.windows], np.bool_)
    space = EmbeddingSpace.fit(found.embeddings[unlabelled], model.parts, model.balance, sounds)
    vectors = space.transform(found.embeddings) if len(found.windows) else np.zeros((0, 1))
    # Sounds of all kinds are negatives only where there are few others: they sound less like the recordings.
    few = sounds is not None and int(unlabelled.sum()) < _ENOUGH
    general = space.transform(sounds.sounds if few and sounds is not None else found.embeddings[:0])
    results = []
    for label in labels:
        positive = np.array([label in (window.labels or ()) for window in found.windows], np.bool_)
        groups, held_out = _groups(found, positive)
        others = ~positive & ~unlabelled
        score = learn(
            Examples(
                vectors[positive],
                groups[positive],
                np.concatenate([vectors[others], general]),
                np.concatenate([groups[others], -1 - np.arange(len(general))]),
                vectors[unlabelled],
                groups[unlabelled],
                space.decorrelated,
            )
        )
        marked = Marked(known[positive], np.append(known[others], np.zeros(len(general), np.bool_)), drawn)
        calibration = Calibration.fit(score.positive, score.negative, score.unlabelled, marked=marked)
        counts = int(positive.sum()), int(others.sum()), int(unlabelled.sum())
        precision = average_precision_interval(score.positive, np.concatenate([score.negative, score.unlabelled]))
        quality = Quality(precision if score.held_out else None, held_out if score.held_out else "nothing", *counts)
        results.append(
            LabelDetector(label, seconds, space, score.weights, score.bias, score.blend, calibration, quality)
        )
    return results


def _groups(found: WindowVectors, positive: Bool[np.ndarray, " windows"]) -> tuple[Int[np.ndarray, " windows"], str]:
    """What is held out together: recordings, or blocks of time where one recording has all examples of a label."""
    recordings = [window.path for window in found.windows]
    if len({path for path, yes in zip(recordings, positive, strict=True) if yes}) >= 2:
        return np.unique(np.array(recordings), return_inverse=True)[1].astype(np.int64), "recordings"
    for seconds in BLOCKS:
        blocks = np.array([f"{int(window.start // seconds)} {window.path}" for window in found.windows])
        if len(np.unique(blocks[positive])) >= _FEW:
            break
    return np.unique(blocks, return_inverse=True)[1].astype(np.int64), "blocks of time"


def average_precision_interval(
    positive: Float[np.ndarray, " positive"], others: Float[np.ndarray, " others"]
) -> Interval:
    """Average precision of held-out scores, with an interval: of a bootstrap, but no narrower than that of a share.

    A bootstrap of positives that all come first would say that no other is ever missed (Wilson's interval does not).
    """
    rng = np.random.default_rng(0)

    def value(some: Float[np.ndarray, " some"], rest: Float[np.ndarray, " rest"]) -> float:
        yes = np.repeat([True, False], [len(some), len(rest)])
        return average_precision(np.concatenate([some, rest]), yes)

    draws = [value(rng.choice(positive, len(positive)), rng.choice(others, len(others))) for _ in range(_DRAWS)]
    middle = value(positive, others)
    low, high = np.quantile(draws, [0.025, 0.975])
    least, _, most = wilson_interval(middle, len(positive))
    return Interval(middle, min(least, float(low)), max(most, float(high)))
