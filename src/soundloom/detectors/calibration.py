"""Calibrated probabilities of a detector, thresholds by aim, and the intervals of what they reach.

Held-out scores become probabilities by the mixture of scores (`soundloom.detectors.score_mixture`), which also says how
frequent the sound is among the unlabelled windows. A threshold's recall is the share of held-out examples above it; its
precision follows from the recall, the frequency and the probabilities of the unlabelled windows above it.

Intervals are those of a bootstrap: examples are drawn again, and mixture, precision and recall are computed anew; the
shares of few examples are drawn from their beta distributions (Jeffreys). For a number of windows they are intervals
of what is found in so many: detections, and sounds that are missed, are drawn as well. They are meant to cover 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float

from soundloom.detectors.score_mixture import ScoreMixture
from soundloom.errors import InvalidArgumentError

__all__ = ["Aim", "Calibration", "Interval", "OperatingPoint"]

_REPEATS = 100
_CANDIDATES = 400


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.0%} ({self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a threshold is to reach: one of precision, recall and probability.

    Raises:
        InvalidArgumentError: none or several of them, or one that is not between 0 and 1.
    """

    precision: float | None = None
    recall: float | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if len(given) != 1 or not all(0 < value <= 1 for value in given.values()):
            raise InvalidArgumentError(
                f"a threshold has one aim, precision, recall or probability, above 0 and at most 1; got {given or None}"
            )


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it reaches.

    Attributes:
        threshold: the lowest probability that counts as a detection.
        precision: the share of detections that are right.
        recall: the share of the sounds that are detected.
        reached: whether the aim is expected to be reached.
    """

    threshold: float
    precision: Interval
    recall: Interval
    reached: bool


@dataclass(frozen=True, eq=False)
class Calibration:
    """From scores to probabilities, with the evidence for it.

    Attributes:
        mixture: of the scores of windows with and without the sound.
        frequency: the share of windows of recordings that hold the sound.
        positive: held-out scores of the examples.
        others: held-out scores of the unlabelled windows; of the negative examples where there are none.
        redrawn: mixtures of examples that were drawn again.
    """

    mixture: ScoreMixture
    frequency: Interval
    positive: tuple[float, ...]
    others: tuple[float, ...]
    redrawn: tuple[ScoreMixture, ...]

    @classmethod
    def fit(
        cls,
        positive: Float[np.ndarray, " positive"],
        negative: Float[np.ndarray, " negative"],
        unlabelled: Float[np.ndarray, " unlabelled"],
        *,
        left_out: int = 0,
    ) -> Self:
        """The calibration of held-out scores.

        Args:
            positive: of examples of the sound.
            negative: of examples of others.
            unlabelled: of windows as they occur in recordings; where there are none, half of all windows are taken to
                hold the sound.
            left_out: how many windows of the unlabelled ones' recordings are not among these because they are
                examples of the sound.
        """
        known = len(unlabelled) > 0
        others = unlabelled if known else negative
        share = left_out / (left_out + len(others)) if known else 0.0
        mixture = ScoreMixture.fit(positive, others, unlabelled=known).with_share(share)
        rng = np.random.default_rng(0)
        redrawn = []
        for _ in range(_REPEATS):
            some, rest = rng.choice(positive, len(positive)), rng.choice(others, len(others))
            redrawn.append(ScoreMixture.fit(some, rest, unlabelled=known).with_share(share))
        shares = [one.frequency for one in redrawn]
        frequency = _interval(mixture.frequency, shares) if known else Interval(0.5, 0.0, 1.0)
        return cls(mixture, frequency, tuple(positive.tolist()), tuple(others.tolist()), tuple(redrawn))

    def probabilities(self, scores: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """The probability of the sound in windows with these scores, as frequent as among the unlabelled ones."""
        return self.mixture.probabilities(scores)

    def point(self, aim: Aim, windows: int | None = None) -> OperatingPoint:
        """The threshold for an aim, with the intervals of precision and recall at it.

        Of the thresholds that reach a precision it is the lowest, of those that reach a recall the highest. Where no
        threshold reaches the aim, it is the one that comes nearest.

        Args:
            aim: what the threshold is to reach.
            windows: how many are searched; None: intervals are of the long run.
        """
        candidates = np.unique(np.concatenate([self._of(self.positive), self._of(self.others)]))
        if aim.probability is not None:
            threshold, reached = aim.probability, True
        else:
            wanted = aim.precision if aim.precision is not None else aim.recall
            assert wanted is not None
            candidates = candidates[-_CANDIDATES:]
            values = np.array([self._expected(each)[0 if aim.precision is not None else 1] for each in candidates])
            reached = bool((values >= wanted).any())
            fitting = np.flatnonzero(values >= wanted) if reached else np.flatnonzero(values == values.max())
            threshold = float(candidates[fitting[0] if aim.precision is not None else fitting[-1]])
        precision, recall = self._expected(threshold)
        draws = np.array([self._drawn(threshold, number, windows) for number in range(len(self.redrawn))])
        return OperatingPoint(threshold, _interval(precision, draws[:, 0]), _interval(recall, draws[:, 1]), reached)

    def to_data(self) -> dict[str, Any]:
        """The calibration as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """The calibration of what `to_data` gave."""
        return cls(
            ScoreMixture(**data["mixture"]), Interval(**data["frequency"]), tuple(data["positive"]),
            tuple(data["others"]), tuple(ScoreMixture(**one) for one in data["redrawn"]),
        )  # fmt: skip

    def _of(self, scores: Sequence[float]) -> Float[np.ndarray, " rows"]:
        return self.probabilities(np.asarray(scores, np.float64))

    def _expected(self, threshold: float) -> tuple[float, float]:
        """Precision and recall that are expected of a threshold."""
        positive, others = self._of(self.positive), self._of(self.others)
        return _precision_recall(
            float((positive >= threshold).mean()), float(np.where(others >= threshold, 1 - others, 0).mean()),
            self.mixture.frequency,
        )  # fmt: skip

    def _drawn(self, threshold: float, number: int, windows: int | None) -> tuple[float, float]:
        """Precision and recall of a threshold by examples drawn again, the shares of few ones drawn."""
        rng = np.random.default_rng(number)
        positive, others = self._of(self.positive), self._of(self.others)
        above = int((positive >= threshold).sum())
        recall = float(rng.beta(above + 0.5, len(positive) - above + 0.5))
        detected = np.asarray(self.others)[others >= threshold]
        wrong = float((1 - self.redrawn[number].probabilities(detected)).sum())
        false = float(rng.gamma(wrong + 0.5)) / max(1, len(others))
        frequency = self.redrawn[number].frequency
        if windows is None:
            return _precision_recall(recall, false, frequency)
        sounds = max(1, int(rng.binomial(windows, frequency)))
        right, wrong = int(rng.binomial(sounds, recall)), int(rng.poisson(false * windows))
        # Where nothing is detected the precision is open.
        return (right / (right + wrong) if right + wrong else float(rng.random())), right / sounds


def _interval(value: float, draws: Sequence[float] | Float[np.ndarray, " draws"]) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def _precision_recall(recall: float, false: float, frequency: float) -> tuple[float, float]:
    right = frequency * recall
    return (right / (right + false) if right + false else 1.0), recall
