"""Mixture of scores: how windows with and without a sound score, and how frequent the sound is, by EM.

Scores of windows without the sound are modelled where they matter, above their 80 % quantile, by an exponential tail:
recordings hold sounds that resemble the one that is looked for, so the tail is heavier than a Gaussian's. Scores of
windows with the sound follow a Gaussian, whose density is held at its peak above the mean, so that a higher score is
never less probable. Held-out examples belong to the second; to which one unlabelled windows belong is estimated along
with the parameters by expectation maximisation (Dempster 1977). A prior worth a few examples holds the Gaussian's
deviation, which few scores leave open. The frequency of the sound is its share of the unlabelled windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erfc, log, pi, sqrt

import numpy as np
from jaxtyping import Float

__all__ = ["ScoreMixture"]

_TAIL = 0.2
_ITERATIONS = 40
_PRIOR_DEVIATION, _PRIOR_WEIGHT = 1.0, 4.0
_RAREST, _MOST = 1e-4, 0.5
_SMALLEST = 0.05


@dataclass(frozen=True)
class ScoreMixture:
    """The distributions of scores.

    Attributes:
        edge: where the tail of the windows without the sound begins.
        decay: by how much a score rises while the tail falls to 1/e.
        mean: of the scores of windows with the sound.
        deviation: of these.
        frequency: share of windows with the sound.
    """

    edge: float
    decay: float
    mean: float
    deviation: float
    frequency: float

    @classmethod
    def fit(
        cls,
        positive: Float[np.ndarray, " positive"],
        others: Float[np.ndarray, " others"],
        *,
        unlabelled: bool,
    ) -> ScoreMixture:
        """The mixture of held-out scores.

        Args:
            positive: of examples with the sound.
            others: of windows without it, or of unlabelled ones.
            unlabelled: whether the others may hold it; if not, half of all windows are taken to.
        """
        edge = float(np.quantile(others, 1 - _TAIL))
        beyond, count = others[others > edge], len(others)
        # By the median, which a few windows with the sound hardly move.
        decay = max(_SMALLEST, float(np.median(beyond - edge)) / log(2)) if len(beyond) else 1.0
        mean = max(float(positive.mean()), edge + decay)
        now = cls(edge, decay, mean, _deviation(positive, mean), 0.01 if unlabelled else 0.5)
        for _ in range(_ITERATIONS if unlabelled else 1):
            belongs = now.probabilities(beyond) if unlabelled else np.zeros(len(beyond))
            now = now._fitted(positive, beyond, belongs, count, unlabelled)
        return now

    def probabilities(self, scores: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """The probability of the sound in windows with these scores."""
        odds = log(self.frequency / (1 - self.frequency)) + self._log_ratio(scores)
        return np.asarray(np.exp(-np.logaddexp(0, -odds)))

    def precision_recall(
        self, scores: Float[np.ndarray, " rows"]
    ) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
        """The precision and recall that the mixture gives thresholds at these scores, not below the edge."""
        away = (scores - self.mean) / (self.deviation * sqrt(2))
        recall = np.array([0.5 * erfc(value) for value in away.tolist()])
        right = self.frequency * recall
        wrong = (1 - self.frequency) * _TAIL * np.exp(-np.maximum(scores - self.edge, 0) / self.decay)
        return np.asarray(right / (right + wrong)), recall

    def with_share(self, share: float) -> ScoreMixture:
        """The mixture with so many more windows with the sound, as a share of all."""
        return replace(self, frequency=min(_MOST, 1 - (1 - self.frequency) * (1 - share)))

    def _log_ratio(self, scores: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        below = np.minimum((scores - self.mean) / self.deviation, 0)
        with_it = -0.5 * below**2 - log(self.deviation * sqrt(2 * pi))
        # Below the edge the density is at least as high as there.
        without = log(_TAIL / self.decay) - np.maximum(scores - self.edge, 0) / self.decay
        return np.asarray(with_it - without)

    def _fitted(
        self,
        positive: Float[np.ndarray, " positive"],
        beyond: Float[np.ndarray, " beyond"],
        belongs: Float[np.ndarray, " beyond"],
        count: int,
        unlabelled: bool,
    ) -> ScoreMixture:
        """The parameters for given memberships of the other scores beyond the edge; ``count`` is that of all others."""
        without = 1 - belongs
        excess = float((without * (beyond - self.edge)).sum()) / max(1e-9, float(without.sum()))
        decay = max(_SMALLEST, excess) if without.any() else self.decay
        total = float(belongs.sum())
        # All unlabelled windows that seem to hold the sound count as much as the examples.
        share = min(1.0, len(positive) / total) if total else 0.0
        scores = np.concatenate([positive, beyond])
        counts = np.concatenate([np.ones(len(positive)), share * belongs])
        mean = max(float((counts * scores).sum() / counts.sum()), self.edge + decay)
        frequency = min(_MOST, max(_RAREST, total / count)) if unlabelled else 0.5
        return ScoreMixture(self.edge, decay, mean, _deviation(scores, mean, counts), frequency)


def _deviation(
    scores: Float[np.ndarray, " rows"], mean: float, counts: Float[np.ndarray, " rows"] | None = None
) -> float:
    counts = np.ones(len(scores)) if counts is None else counts
    variance = float((counts * (scores - mean) ** 2).sum()) + _PRIOR_WEIGHT * _PRIOR_DEVIATION**2
    return sqrt(variance / (float(counts.sum()) + _PRIOR_WEIGHT))
