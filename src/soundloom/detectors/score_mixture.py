"""Mixture of scores: how windows with and without a sound score, and how frequent the sound is; posterior by sampling.

Scores of windows without the sound are modelled where they matter, above their 80 % quantile, by an exponential tail:
recordings hold sounds that resemble the one that is looked for, so the tail is heavier than a Gaussian's. Scores of
windows with the sound follow a Gaussian, whose density is held at its peak above the mean, so that a higher score is
never less probable. Held-out examples belong to the second; unlabelled windows to either, as frequent as the sound is.

Few examples leave much open. So the parameters are not estimated but drawn from their posterior distribution, by
differential evolution (ter Braak 2006), and whatever is asked of the mixture is averaged over the draws. The prior says
what scores of other sounds are like: scores have deviation 1 over unlabelled windows, so they can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from jaxtyping import Float

__all__ = ["ScoreMixture"]

TAIL = 0.2
_CHAINS, _STEPS = 100, 150
_JITTER, _LEAP = 0.02, 0.1
_PRIOR_MEAN = np.array([log(0.7), 3.5, log(1.05), -4.0])
_PRIOR_DEVIATION = np.array([0.2, 1.5, 0.3, 1.2])
"""Of the log decay, the mean, the log deviation and the log odds of the frequency."""

_RISE = 1.5
"""By how much scores rise, over the number of examples, when those that were held out are learned from as well."""

_SEED = 0


@dataclass(frozen=True, eq=False)
class ScoreMixture:
    """Draws from the posterior of the distributions of scores.

    Attributes:
        edge: where the tail of the windows without the sound begins.
        decay: by how much a score rises while the tail falls to 1/e.
        mean: of the scores of windows with the sound.
        deviation: of these.
        frequency: share of windows with the sound.
    """

    edge: float
    decay: Float[np.ndarray, " draws"]
    mean: Float[np.ndarray, " draws"]
    deviation: Float[np.ndarray, " draws"]
    frequency: Float[np.ndarray, " draws"]

    @classmethod
    def fit(
        cls,
        positive: Float[np.ndarray, " positive"],
        others: Float[np.ndarray, " others"],
        *,
        unlabelled: bool,
        negative: Float[np.ndarray, " negative"] | None = None,
    ) -> ScoreMixture:
        """The mixture of held-out scores.

        Args:
            positive: of examples with the sound.
            others: of windows without it, or of unlabelled ones.
            unlabelled: whether the others may hold it; if not, half of all windows are taken to.
            negative: of windows that are as the unlabelled ones, but marked to be without the sound.
        """
        posterior = _Posterior(positive, others, others[:0] if negative is None else negative, unlabelled=unlabelled)
        rng = np.random.default_rng(_SEED)
        draws = _PRIOR_MEAN + 0.5 * _PRIOR_DEVIATION * rng.normal(size=(_CHAINS, 4))
        draws[:, 1] = 0.5 * draws[:, 1] + 0.5 * positive.mean()
        density = posterior.log_density(draws)
        for _ in range(_STEPS):
            first, second = ((np.arange(_CHAINS) + rng.integers(1, _CHAINS, _CHAINS)) % _CHAINS for _ in range(2))
            # The customary factor for four parameters; now and then 1, which leaps between modes.
            factor = np.where(rng.random(_CHAINS) < _LEAP, 1.0, 2.38 / np.sqrt(8))[:, None]
            jitter = _JITTER * _PRIOR_DEVIATION * rng.normal(size=draws.shape)
            proposed = draws + factor * (draws[first] - draws[second]) + jitter
            new = posterior.log_density(proposed)
            accepted = np.log(rng.random(_CHAINS)) < new - density
            draws[accepted], density[accepted] = proposed[accepted], new[accepted]
        decay, deviation = np.exp(draws[:, 0]), np.exp(draws[:, 2])
        frequency = 1 / (1 + np.exp(-draws[:, 3])) if unlabelled else np.full(_CHAINS, 0.5)
        return cls(posterior.edge, decay, draws[:, 1], deviation, frequency)

    def probabilities(self, scores: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """The probability of the sound in windows with these scores."""
        total = np.zeros(len(scores))
        # Draw by draw, so that a window's probability does not depend on how many there are.
        for decay, mean, deviation, frequency in self._draws():
            below = np.minimum((scores - mean) / deviation, 0)
            with_it = -0.5 * below**2 - np.log(deviation * np.sqrt(2 * np.pi))
            # Below the edge the density is at least as high as there.
            without = np.log(TAIL / decay) - np.maximum(scores - self.edge, 0) / decay
            total += np.exp(-np.logaddexp(0, without - with_it - np.log(frequency / (1 - frequency))))
        return total / len(self.mean)

    def detected(
        self, scores: Float[np.ndarray, " rows"]
    ) -> tuple[Float[np.ndarray, "draws rows"], Float[np.ndarray, "draws rows"]]:
        """The shares of windows with the sound, and of those without, that score above thresholds, by every draw."""
        right = _normal_cdf((self.mean[:, None] - scores) / self.deviation[:, None])
        return right, TAIL * np.exp(-np.maximum(scores - self.edge, 0) / self.decay[:, None])

    def precision_recall(
        self, scores: Float[np.ndarray, " rows"]
    ) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
        """The expected precision and recall of thresholds at these scores, not below the edge."""
        right, wrong = self.detected(scores)
        share = self.frequency[:, None]
        found = (share * right).mean(axis=0)
        return found / (found + ((1 - share) * wrong).mean(axis=0)), found / share.mean()

    def repeated(self, times: int) -> ScoreMixture:
        """The mixture with every draw so many times."""
        draws = (self.decay, self.mean, self.deviation, self.frequency)
        return ScoreMixture(self.edge, *(np.repeat(each, times) for each in draws))

    def with_share(self, share: float) -> ScoreMixture:
        """The mixture with so many more windows with the sound, as a share of all."""
        frequency = 1 - (1 - self.frequency) * (1 - share)
        return ScoreMixture(self.edge, self.decay, self.mean, self.deviation, frequency)

    def with_odds(self, factor: float) -> ScoreMixture:
        """The mixture with so many times the odds of a window with the sound."""
        odds = factor * self.frequency / (1 - self.frequency)
        return ScoreMixture(self.edge, self.decay, self.mean, self.deviation, odds / (1 + odds))

    def _draws(self) -> zip[tuple[float, float, float, float]]:
        return zip(self.decay, self.mean, self.deviation, self.frequency, strict=True)


class _Posterior:
    """Density of the parameters, given held-out scores."""

    def __init__(
        self,
        positive: Float[np.ndarray, " positive"],
        others: Float[np.ndarray, " others"],
        negative: Float[np.ndarray, " negative"],
        *,
        unlabelled: bool,
    ) -> None:
        self.edge = float(np.quantile(np.concatenate([others, negative]), 1 - TAIL))
        self.positive = positive + _RISE / len(positive)
        self.beyond = others[others > self.edge]
        self.below = len(others) - len(self.beyond)
        self.refused = negative[negative > self.edge]
        self.negative = len(negative)
        self.unlabelled = unlabelled

    def log_density(self, draws: Float[np.ndarray, "draws 4"]) -> Float[np.ndarray, " draws"]:
        """The logarithm of the posterior density, up to a constant."""
        decay, mean, spread, odds = draws.T[:, :, None]
        prior = -0.5 * (((draws - _PRIOR_MEAN) / _PRIOR_DEVIATION) ** 2).sum(axis=1)

        def with_it(scores: Float[np.ndarray, " rows"]) -> Float[np.ndarray, "draws rows"]:
            return np.asarray(-0.5 * ((scores - mean) / np.exp(spread)) ** 2 - spread - 0.5 * np.log(2 * np.pi))

        examples = with_it(self.positive).sum(axis=1)
        without = np.log(TAIL) - decay - (self.beyond - self.edge) / np.exp(decay)
        if not self.unlabelled:
            return np.asarray(prior + examples + without.sum(axis=1))
        log_share, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
        beyond = np.logaddexp(log_share + with_it(self.beyond), log_rest + without).sum(axis=1)
        missed = _normal_cdf((self.edge - mean) / np.exp(spread))[:, 0]
        below = np.log((1 - TAIL) * np.exp(log_rest[:, 0]) + np.exp(log_share[:, 0]) * missed)
        refused = (np.log(TAIL) - decay - (self.refused - self.edge) / np.exp(decay)).sum(axis=1)
        return np.asarray(prior + examples + beyond + self.below * below + refused + self.negative * log_rest[:, 0])


def _normal_cdf(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    import torch

    return np.asarray(torch.special.ndtr(torch.from_numpy(np.ascontiguousarray(values))).numpy())
