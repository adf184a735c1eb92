"""Calibrated probabilities of a detector, thresholds by aim, and the intervals of what they reach.

Held-out scores become probabilities by the mixture of scores (`soundloom.detectors.score_mixture`), which also says how
frequent the sound is among the unlabelled windows. It gives the precision and recall of a threshold, too, so that
thresholds between the scores of few examples differ.

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
_CANDIDATES = 1000
_UNLIKELY, _LIKELY = 0.1, 0.5


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

        Of the thresholds that reach a precision it is the lowest, but not below a probability of one tenth; of those
        that reach a recall the highest, but not above one half: far from all scores the mixture is a guess. Where no
        threshold reaches the aim, it is the one that comes nearest.

        Args:
            aim: what the threshold is to reach.
            windows: how many are searched; None: intervals are of the long run.
        """
        candidates = self._scores()
        probabilities = self.probabilities(candidates)
        precisions, recalls = self.mixture.precision_recall(candidates)
        wanted, values = aim.probability, probabilities
        if aim.precision is not None:
            wanted, values = aim.precision, np.where(probabilities < _UNLIKELY, -1, precisions)
        elif aim.recall is not None:
            wanted, values = aim.recall, np.where(probabilities > _LIKELY, -1, recalls)
        assert wanted is not None
        reached = bool((values >= wanted).any())
        fitting = np.flatnonzero(values >= wanted) if reached else np.flatnonzero(values == values.max())
        score = candidates[fitting[0 if aim.recall is None else -1]]
        precision, recall = (float(value[0]) for value in self.mixture.precision_recall(np.array([score])))
        threshold = float(self.probabilities(np.array([score]))[0]) if aim.probability is None else aim.probability
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

    def _scores(self) -> Float[np.ndarray, " rows"]:
        """Scores among which thresholds are looked for: from the edge on, to beyond those of the sound."""
        mixture = self.mixture
        highest = max(mixture.mean + 3 * mixture.deviation, *self.positive, *self.others)
        return np.linspace(mixture.edge, highest, _CANDIDATES)

    def _of(self, scores: Sequence[float]) -> Float[np.ndarray, " rows"]:
        return self.probabilities(np.asarray(scores, np.float64))

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
