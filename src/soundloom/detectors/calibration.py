"""Calibrated probabilities of a detector, thresholds by aim, and the intervals of what they reach.

Held-out scores become probabilities by the mixture of scores (`soundloom.detectors.score_mixture`), which also says how
frequent the sound is among the unlabelled windows. It gives the precision and recall of a threshold, too, so that
thresholds between the scores of few examples differ.

Intervals are those of the draws of the mixture's posterior. The shape of the mixture is an approximation, so that the
shares of windows above a threshold vary more than the draws do, and other recordings differ from those that were
marked; by how much was chosen on labelled recordings. For a number of windows the intervals are of what is found in so
many: detections, and sounds that are missed, are drawn as well, and where nothing is detected there is no precision.
They are meant to cover 95 %.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float

from soundloom.detectors.score_mixture import ScoreMixture
from soundloom.errors import InvalidArgumentError
from soundloom.library.tags.logistic_regression import wilson_interval

__all__ = ["Aim", "Calibration", "Interval", "Marked", "OperatingPoint"]

_CANDIDATES = 300
_REPEATS = 4
"""How often detections are drawn for each draw of the mixture."""

_SHIFT, _FALSE = (0.8, 2.0), (0.45, 3.0)
"""By how much sounds that are searched score higher or lower than those that were marked, for one sound, and by how
much the logarithm of the share of false detections varies; as scales of Student's t and its degrees of freedom: most
recordings are much like the others, and some not at all. What detectors of 5 and of 20 examples detect in ESC-50's
folds 1 to 4, each searched by those of the other three, is likeliest with about these."""

_ODDS = 1.35
"""By how much the odds of the sound are higher than the mixture finds: Platt's intercept (Platt 1999) of labelled clips
of ESC-50's folds 1 to 4, whose slope was 1; an isotonic regression is no better on the fold left out."""

_UNLIKELY, _LIKELY = 0.1, 0.5
_SMALLEST = 1e-3
_NEARLY = 0.05


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
class Marked:
    """Which examples are of the recordings whose windows are unlabelled.

    Attributes:
        positive: a mask of the examples of the sound.
        negative: likewise of the others.
        share: how many of the windows of these recordings that are not marked were drawn as unlabelled ones.
    """

    positive: Bool[np.ndarray, " positive"]
    negative: Bool[np.ndarray, " negative"]
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """From scores to probabilities, with the evidence for it.

    Attributes:
        mixture: of the scores of windows with and without the sound.
        frequency: the share of windows of recordings that hold the sound.
        positive: held-out scores of the examples.
        others: held-out scores of the unlabelled windows; of the negative examples where there are none.
    """

    mixture: ScoreMixture
    frequency: Interval
    positive: tuple[float, ...]
    others: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        positive: Float[np.ndarray, " positive"],
        negative: Float[np.ndarray, " negative"],
        unlabelled: Float[np.ndarray, " unlabelled"],
        *,
        marked: Marked | None = None,
    ) -> Self:
        """The calibration of held-out scores.

        Args:
            positive: of examples of the sound.
            negative: of examples of others.
            unlabelled: of windows as they occur in recordings; where there are none, half of all windows are taken to
                hold the sound.
            marked: the examples that are of the same recordings: they are missing among the unlabelled windows. Marking
                what a detector doubts takes out those that it confuses with the sound.
        """
        known = len(unlabelled) > 0
        others = unlabelled if known else negative
        left_out, refused = 0.0, others[:0]
        if known and marked is not None:
            refused = np.sort(negative[marked.negative])
            # As many of them, spread evenly, as are among the unlabelled windows of as many.
            refused = refused[(np.arange(round(marked.share * len(refused))) / marked.share).astype(int)]
            left_out = marked.share * float(marked.positive.sum())
        mixture = ScoreMixture.fit(positive, others, unlabelled=known, negative=refused)
        mixture = mixture.with_share(left_out / (left_out + len(others) + len(refused)))
        mixture = mixture.with_odds(_ODDS) if known else mixture
        frequency = _interval(float(mixture.frequency.mean()), mixture.frequency) if known else Interval(0.5, 0.0, 1.0)
        return cls(mixture, frequency, tuple(positive.tolist()), tuple(others.tolist()))

    def probabilities(self, scores: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """The probability of the sound in windows with these scores, as frequent as among the unlabelled ones."""
        return self.mixture.probabilities(scores)

    def point(self, aim: Aim, windows: int | None = None) -> OperatingPoint:
        """The threshold for an aim, with the intervals of precision and recall at it.

        Of the thresholds that reach a precision it is the lowest, but not below a probability of one tenth; of those
        that reach a recall the highest, but not above one half: far from all scores the mixture is a guess. Where no
        threshold reaches the aim, it is the first that nearly comes as near as any does: the very nearest would often
        be above all scores, and find nothing.

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
        fitting = np.flatnonzero(values >= (wanted if reached else values.max() - _NEARLY))
        score = candidates[fitting[0 if aim.recall is None else -1]]
        precision, recall = (float(value[0]) for value in self.mixture.precision_recall(np.array([score])))
        threshold = float(self.probabilities(np.array([score]))[0]) if aim.probability is None else aim.probability
        precisions, recalls = self._drawn(score, windows)
        examples = len(self.positive)
        detected = max(1.0, recall * examples)
        return OperatingPoint(
            threshold, _of_few(precision, precisions, detected), _of_few(recall, recalls, examples), reached
        )

    def to_data(self) -> dict[str, Any]:
        """The calibration as plain JSON data."""
        mixture = {name: np.asarray(value).tolist() for name, value in vars(self.mixture).items()}
        return {
            "mixture": mixture, "frequency": asdict(self.frequency), "positive": list(self.positive),
            "others": list(self.others),
        }  # fmt: skip

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """The calibration of what `to_data` gave."""
        mixture = {name: np.asarray(value, np.float64) for name, value in data["mixture"].items()}
        edge = float(mixture.pop("edge"))
        # Mixtures were points once, with some more of examples drawn again.
        mixture = {name: np.atleast_1d(values) for name, values in mixture.items()}
        return cls(
            ScoreMixture(edge, **mixture), Interval(**data["frequency"]), tuple(data["positive"]),
            tuple(data["others"]),
        )  # fmt: skip

    def _scores(self) -> Float[np.ndarray, " rows"]:
        """Scores among which thresholds are looked for: from the edge on, to beyond those of the sound."""
        mixture = self.mixture
        highest = max(float(mixture.mean.mean() + 3 * mixture.deviation.mean()), *self.positive, *self.others)
        return np.linspace(mixture.edge, highest, _CANDIDATES)

    def _drawn(
        self, score: float, windows: int | None
    ) -> tuple[Float[np.ndarray, " known"], Float[np.ndarray, " draws"]]:
        """Precision and recall of a threshold by the draws of the mixture, and of detections."""
        rng = np.random.default_rng(0)
        drawn = self.mixture.repeated(_REPEATS)
        frequency = drawn.frequency
        sounds = None if windows is None else np.maximum(1, rng.binomial(windows, frequency))
        # Both the mean of the marked sounds and that of the others vary, as those of so many drawn from all.
        spread = np.sqrt(1 / len(self.positive) + (0 if sounds is None else 1 / sounds))
        shift, false = (scale * rng.standard_t(freedom, len(frequency)) for scale, freedom in (_SHIFT, _FALSE))
        moved = replace(drawn, mean=drawn.mean + spread * shift)
        right, wrong = (share[:, 0] for share in moved.detected(np.array([score])))
        wrong = np.minimum(1, wrong * np.exp(false))
        if windows is None or sounds is None:
            found, wrong = frequency * right, (1 - frequency) * wrong
            return found / np.maximum(found + wrong, _SMALLEST), right
        hits, false = rng.binomial(sounds, right), rng.poisson((windows - np.minimum(sounds, windows)) * wrong)
        some = hits + false > 0
        return (hits / np.maximum(1, hits + false))[some] if some.any() else np.array([0.0, 1.0]), hits / sounds


def _interval(value: float, draws: Float[np.ndarray, " draws"]) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def _of_few(share: float, draws: Float[np.ndarray, " draws"], count: float) -> Interval:
    """The interval of a share, no narrower than what so many examples say of it, however far apart all scores are."""
    known, (low, _, high) = _interval(share, draws), wilson_interval(share, count)
    return Interval(share, min(known.low, low), max(known.high, high))
